"""Fuzz of everything that is parsed from outside: it takes bounded time and memory, and fails in an orderly way.

The suite runs a short part. `python -m tests.fuzz --seconds 600`, or `make fuzz SECONDS=600`, runs it for long,
with new examples each time.
"""
