"""Tests of the command line's parts; tests/integration runs the verbs as processes."""
