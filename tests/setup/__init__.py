"""Tests of setting a host up."""
