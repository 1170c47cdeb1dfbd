"""The form in which polls travel to a pattoo server: pure, no I/O."""
