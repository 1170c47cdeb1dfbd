"""Tests of the receiver's page in a real browser."""
