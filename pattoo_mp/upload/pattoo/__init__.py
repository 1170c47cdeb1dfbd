"""What knows pattoo's wire: answers, encrypted mode, the original's unsent posts."""
