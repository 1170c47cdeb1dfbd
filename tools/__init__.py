"""Commands that `make` runs."""
