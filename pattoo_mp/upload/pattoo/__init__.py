"""Everything specific to pattoo: its answers, encrypted mode, and the original agent's unsent posts."""
