"""Tests of the command line's parts; its verbs are tried whole in tests/integration."""
