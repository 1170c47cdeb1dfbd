"""Tests of the format in which polls go to a pattoo server."""
