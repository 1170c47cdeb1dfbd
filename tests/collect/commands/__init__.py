"""Tests of the process that runs commands."""
