"""Starts the workers, watches them, restarts them, stops them, tells their status."""
