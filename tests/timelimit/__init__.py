"""Tests of pattoo_mp.timelimit."""
