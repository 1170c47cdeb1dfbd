"""What a person asks of a host."""
