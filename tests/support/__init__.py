"""Helpers for tests: servers that misbehave, the real agent, and waiting with a time limit."""
