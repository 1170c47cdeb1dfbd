"""A small pattoo-compatible receiver, for a first run and for tests."""
