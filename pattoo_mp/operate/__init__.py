"""The agent from outside: find it, start, stop and reload it, and restart it when it hangs."""
