"""Looks at this host as the agent would use it, and touches nothing."""
