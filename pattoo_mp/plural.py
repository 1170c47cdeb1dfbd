"""Counts in words, for the log and for whoever asks: the one place that knows '1 poll' from '2 polls'."""

from __future__ import annotations


def counted(count: int | str, unit: str) -> str:
    """A count, or what is shown of it, with its unit in the singular or the plural."""
    return f"{count} {unit}" if str(count) == "1" else f"{count} {unit}s"
