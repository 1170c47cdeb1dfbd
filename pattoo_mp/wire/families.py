"""Which family a series belongs to, by its key.

The uploader does not know the families. So `families.json` is made from their tables, by `make samples`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("families.json")


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, str], list[tuple[str, str]], str]:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    # The longest prefix that fits decides.
    prefixes = sorted(content["prefixes"].items(), key=lambda one: -len(one[0]))
    return content["keys"], prefixes, content["otherwise"]


def family_of(key: str) -> str:
    """Return the family that has the series with this key."""
    keys, prefixes, otherwise = _table()
    if key in keys:
        return keys[key]
    return next((family for prefix, family in prefixes if key.startswith(prefix)), otherwise)
