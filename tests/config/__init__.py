"""Tests of pattoo_mp.config."""
