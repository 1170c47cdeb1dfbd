"""What `make` and the documentation call."""
