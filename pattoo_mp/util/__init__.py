"""Shared helpers for text, files, processes and signals. Imports no other package of pattoo_mp."""
