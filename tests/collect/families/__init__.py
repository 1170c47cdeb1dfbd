"""Tests of the metric families."""
