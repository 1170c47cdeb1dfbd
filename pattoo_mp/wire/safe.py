"""Guards against text and values that would break a pattoo server.

The server answers 200 to all of these. Then its ingester hangs, loses the batch, or stops for every
agent until someone removes the file. So the agent never sends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from pattoo_mp.util.lean_imports import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.model import Pair

#: The server's columns hold 512 bytes.
TEXT_BYTES = 512
#: From here on the server's DECIMAL(40,10) overflows.
VALUE_LIMIT = 1e30
_DIGEST_DIGITS = 16
_SMALL = 2**63
#: How keys end whose values name a file or a device.
_EXACT = ("_mountpoint", "_device")


def safe_text(text: str, limit: int = TEXT_BYTES) -> str:
    r"""Return `text` as valid UTF-8 of at most `limit` bytes.

    A byte that was not UTF-8 becomes `\xNN`. A text that is cut ends in a hash of the whole, so it
    is the same in each poll and differs from others with the same beginning.
    """
    if len(text) <= limit and text.isascii():
        return text  # as nearly all of them
    encoded = (
        text.encode("utf-8", "surrogateescape")
        if _has_escapes(text)
        else text.encode("utf-8", "backslashreplace")
    )
    readable = encoded.decode("utf-8", "backslashreplace")
    as_bytes = readable.encode()
    if len(as_bytes) <= limit:
        return readable
    digest = sha256(as_bytes).hexdigest()[:_DIGEST_DIGITS]
    kept = as_bytes[: limit - _DIGEST_DIGITS - 1].decode("utf-8", "ignore")
    return f"{kept}~{digest}"


def normalise(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return metadata as the server's library makes it: keys in lower case, stripped, each once.

    That library strips every value. What is mounted, and where, keeps its name here: `/srv` and
    `/srv ` are two directories, and would be one series.
    """
    kept: dict[str, str] = {}
    for key, value in pairs:
        name = safe_text(key.lower().strip())
        kept.setdefault(name, safe_text(value if name.endswith(_EXACT) else value.strip()))
    return tuple(kept.items())


def sendable(value: object) -> TypeGuard[int | float]:
    """Return whether the server can store `value` as a number."""
    if type(value) is int and -_SMALL < value < _SMALL:
        return True  # the most common case
    # Python takes a bool for an int, but it breaks the server.
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        # The server converts it to a float. The comparison is false for a NaN.
        return abs(float(value)) < VALUE_LIMIT
    except OverflowError:
        return False


def _has_escapes(text: str) -> bool:
    """Whether each lone surrogate in `text` stands for a byte that was not UTF-8."""
    surrogates = [c for c in text if "\ud800" <= c <= "\udfff"]
    return bool(surrogates) and all("\udc80" <= c <= "\udcff" for c in surrogates)
