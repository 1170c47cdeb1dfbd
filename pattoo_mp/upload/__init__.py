"""Takes polls off the channel into the spool, and the spool to the server."""
