"""Keeps secrets that stand where they should not out of what is shown: pure."""

from __future__ import annotations

import re
from typing import Final

#: A user and a password before a host, as far as they may go: a password may hold any character.
_BEFORE_HOST: Final = re.compile(r"\S*:.*@", re.DOTALL)

#: Stands for a value that may be a secret as a whole.
NOT_SHOWN: Final = "(not shown)"


def concealed(value: object) -> object:
    """The same value, without the user and password of a URL, wherever it stands in it."""
    if isinstance(value, str):
        return _BEFORE_HOST.sub("…@", value)
    if isinstance(value, list):
        return [concealed(one) for one in value]
    if isinstance(value, dict):
        return {concealed(name): concealed(one) for name, one in value.items()}
    return value
