"""The real agent as a whole: processes, signals, sockets, supervisord."""
