"""Queries that may hang, made with a time limit."""
