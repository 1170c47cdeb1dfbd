"""The agent from outside: find a running one, start it, stop it, reload it, and restart a hung one."""
