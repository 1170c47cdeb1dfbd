"""Read the commands of a documentation page, with the output that the page shows for each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: A line that stands for omitted ones.
_OMITTED = "…"


def steps(page: Path) -> list[tuple[str, list[str]]]:
    """Return each command of the page, with the lines that it should print."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line != _OMITTED:
                found[-1][1].append(line)
    return found


def is_said(output: str, lines: list[str]) -> bool:
    """Return whether a command printed all these lines."""
    return all(re.search(f"^{_pattern(line)}$", output, re.MULTILINE) for line in lines)


def _pattern(line: str) -> str:
    """Return a pattern for a line of the page; numbers and column widths may differ."""
    columns = re.sub(r"(\\ )+", r"\\s+", re.escape(line))
    return re.sub(r"\d[\d,]*(\\\.\d+)?", r"[\\d,]+(\\.\\d+)?", columns)
