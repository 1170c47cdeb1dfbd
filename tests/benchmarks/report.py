"""The page of figures: pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = tuple[str, ...]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown; all columns but the first hold figures."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page(title: str, text: str, sections: Iterable[tuple[str, str]]) -> str:
    """A whole page, a table below each heading."""
    return f"# {title}\n\n{text}" + "".join(f"\n## {head}\n\n{body}" for head, body in sections)
