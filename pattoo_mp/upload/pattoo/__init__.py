"""Everything specific to pattoo: answers, encrypted mode, the original agent's unsent posts."""
