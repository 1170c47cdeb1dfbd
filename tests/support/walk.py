"""A page of the documentation that shows commands, walked: each is run, and must print what it shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: A line that stands for others.
_OTHERS = "…"


def steps(page: Path) -> list[tuple[str, list[str]]]:
    """Each command of the page, with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line != _OTHERS:
                found[-1][1].append(line)
    return found


def is_said(output: str, lines: list[str]) -> bool:
    """Whether a command printed all these lines."""
    return all(re.search(f"^{_pattern(line)}$", output, re.MULTILINE) for line in lines)


def _pattern(line: str) -> str:
    """A line of the page as a pattern: numbers and columns are of the day."""
    columns = re.sub(r"(\\ )+", r"\\s+", re.escape(line))
    return re.sub(r"\d[\d,]*(\\\.\d+)?", r"[\\d,]+(\\.\\d+)?", columns)
