"""The format in which polls go to a pattoo server. No I/O."""
