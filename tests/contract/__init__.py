"""Tests against the original agent's library."""
