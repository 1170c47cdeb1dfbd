"""The man page. It ships as Sphinx made it, so installing the agent does not need Sphinx."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pattoo_mp.program import this_program

NAME: Final = f"{this_program().name}.8"
SHIPPED: Final = Path(__file__).resolve().parent.parent / "docs" / "man" / NAME

#: Requests of man(7) that contain text, and not only layout.
_WITH_TEXT: Final = {".SH", ".SS", ".B", ".I"}


def words(page: str) -> list[str]:
    """Return the words that a reader sees; releases of Sphinx lay them out differently."""
    _, *sections = page.partition(".SH")
    return [word for line in "".join(sections).splitlines() for word in _text(line).split()]


def _text(line: str) -> str:
    request, _, rest = line.partition(" ")
    if line.startswith("."):
        line = rest if request in _WITH_TEXT else ""
    return re.sub(r'\\f\w|\\&|["\\]', "", line)
