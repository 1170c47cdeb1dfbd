"""Tests of everything specific to pattoo."""
