"""The uploader: moves polls from the link to the spool, and from the spool to the server."""
