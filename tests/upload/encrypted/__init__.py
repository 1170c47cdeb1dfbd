"""Tests of encrypted posts."""
