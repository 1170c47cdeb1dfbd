"""Tests of encrypted mode."""
