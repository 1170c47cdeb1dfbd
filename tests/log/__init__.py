"""Tests of pattoo_mp.log."""
