"""Tests of pattoo_mp.setup."""
