"""Tests of the agent as seen and managed from outside."""
