"""Tests of what stands beside the package."""
