"""Tests against the original library."""
