"""A shipped file, made to fit a host: what is replaced must be there, or nobody would notice."""

from __future__ import annotations

import re
from typing import Final

from pattoo_mp.errors import SetupError

#: What needs no quotes in a unit, in a section of supervisord's, for logrotate or for a shell.
_PLAIN: Final = re.compile(r"/[\w./+@-]*")


def replaced(text: str, old: str, new: str) -> str:
    """The text with each `old` replaced. Raises `SetupError` if there is none."""
    if old not in text:
        raise SetupError(
            f"a shipped file has no {old.strip()!r}; expected the files of this release"
        )
    return text.replace(old, new)


def without_quotes(path: str) -> str:
    """The path, if it can stand in such a file as it is. Raises `SetupError`."""
    if not _PLAIN.fullmatch(path):
        raise SetupError(f"{path}: has characters that need quotes; expected a path without them")
    return path
