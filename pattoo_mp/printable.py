"""Text of somebody else's as it may be shown: who may name a mount point may put an escape in it."""

from __future__ import annotations


def printable(text: str) -> str:
    """On one line, without what a terminal would act on, nor what is not UTF-8."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
