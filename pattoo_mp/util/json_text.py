"""JSON from outside: bounded in depth, and with one kind of error for all that is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: More than any text has that we read. The library itself ends in a `RecursionError`, on some releases of
#: Python only at a depth at which other code that goes through the content fails.
MAX_DEPTH: Final = 50


def parse(text: str | bytes | bytearray, depth: int = MAX_DEPTH) -> Any:  # noqa: ANN401 - any JSON
    """Return the content of `text`, whose size the caller bounds.

    Raises `ValueError` if it is not JSON, or has more than `depth` levels of lists and objects.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("JSON with too many levels") from error
    level: list[Any] = [content]
    for _ in range(depth + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return content
    raise ValueError(f"JSON with more than {depth} levels")


def _inside(content: Any) -> Iterable[Any]:  # noqa: ANN401 - any JSON
    if isinstance(content, dict):
        return content.values()
    return content if isinstance(content, list) else ()
