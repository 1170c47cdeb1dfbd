"""What tests need: a faulty server, the real agent, and waiting with a deadline."""
