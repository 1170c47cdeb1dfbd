"""Tests of the form in which polls travel to a pattoo server."""
