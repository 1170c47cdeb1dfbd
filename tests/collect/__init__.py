"""Tests of the collector's parts."""
