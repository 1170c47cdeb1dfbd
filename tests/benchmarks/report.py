"""Formats the page of results. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = tuple[str, ...]


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return a Markdown table; all columns except the first hold numbers."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page(title: str, text: str, sections: Iterable[tuple[str, str]]) -> str:
    """Return a whole page, with a table below each heading."""
    return f"# {title}\n\n{text}" + "".join(f"\n## {head}\n\n{body}" for head, body in sections)
