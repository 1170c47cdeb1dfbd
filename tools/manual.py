"""The man page, which ships as Sphinx made it: nobody who installs the agent needs Sphinx for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pattoo_mp.model import PROGRAM

NAME: Final = f"{PROGRAM}.8"
SHIPPED: Final = Path(__file__).resolve().parent.parent / "docs" / "man" / NAME

#: Requests of man(7) that say something, and not only how it is laid out.
_SAYING: Final = {".SH", ".SS", ".B", ".I"}


def words(page: str) -> list[str]:
    """What a reader sees, word by word: releases of Sphinx lay it out in different ways."""
    _, *sections = page.partition(".SH")
    return [word for line in "".join(sections).splitlines() for word in _said(line).split()]


def _said(line: str) -> str:
    request, _, rest = line.partition(" ")
    if line.startswith("."):
        line = rest if request in _SAYING else ""
    return re.sub(r'\\f\w|\\&|["\\]', "", line)
