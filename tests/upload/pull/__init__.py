"""Tests of the output that is fetched."""
