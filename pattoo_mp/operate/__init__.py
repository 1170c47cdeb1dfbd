"""The agent from outside: what asks a running one, starts it, stops it, and looks after it."""
