"""Tests of a hub's collector."""
