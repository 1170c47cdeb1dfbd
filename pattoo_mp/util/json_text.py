"""JSON from outside: bounded in depth and memory, and with one kind of error for all that is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: More than any text has that we read. The library itself ends in a `RecursionError`, on some releases of
#: Python only at a depth at which other code that goes through the content fails.
MAX_DEPTH: Final = 50
#: A list takes 64 bytes of memory and more, and may be written in three: `[],`. All that we read has more
#: text for each list and object; a post, 40 bytes.
_BYTES_FOR_EACH: Final = 8
#: So many are allowed in any case.
_FEW: Final = 1000


def _no_constant(literal: str) -> NoReturn:
    raise ValueError(f"the literal {literal}")


def parse(
    text: str | bytes | bytearray,
    depth: int = MAX_DEPTH,
    constant: Callable[[str], Any] = _no_constant,
) -> Any:  # noqa: ANN401 - any JSON
    """Return the content of `text`, whose size the caller bounds. It takes at most 20 times as much memory.

    `constant` returns the value of `NaN`, `Infinity` and `-Infinity`, which are no JSON, or raises. It is not
    asked about a number that is too large for a float, such as 1e999, which becomes infinite.
    Raises `ValueError` if it is not JSON, has more than `depth` levels of lists and objects, or consists of
    little else than their brackets.
    """
    if _opened(text) > _FEW + len(text) // _BYTES_FOR_EACH:
        raise ValueError("JSON of empty lists or objects")
    try:
        content = json.loads(text, parse_constant=constant)
    except RecursionError as error:
        raise ValueError("JSON with too many levels") from error
    level: list[Any] = [content]
    for _ in range(depth + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return content
    raise ValueError(f"JSON with more than {depth} levels")


def _opened(text: str | bytes | bytearray) -> int:
    """Return how many lists and objects begin in `text`, or more: a string may hold brackets."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _inside(content: Any) -> Iterable[Any]:  # noqa: ANN401 - any JSON
    if isinstance(content, dict):
        return content.values()
    return content if isinstance(content, list) else ()
