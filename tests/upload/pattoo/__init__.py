"""Tests of what knows pattoo's wire."""
