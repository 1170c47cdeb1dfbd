"""Check this host as the agent would use it, without changing anything."""
