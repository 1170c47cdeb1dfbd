"""pattoo_mp: reports an operating system's performance to a pattoo server."""

__version__ = "0.1.0"
