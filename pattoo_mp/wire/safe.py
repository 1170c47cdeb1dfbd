"""Guards against text and values that would break a pattoo server, or act on its readers' screens.

The server answers 200 to all of these. Then its ingester hangs, loses the batch, or stops for every
agent until someone removes the file. So the agent never sends them. Control characters do the server
no harm, but it hands them on to web pages and terminals as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeGuard

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
#: What `str.strip` takes for white space, but for what is escaped in a name instead: U+001C to U+001F, U+0085,
#: U+2028 and U+2029. An interface may be called `eth0\x1f`, and is not `eth0`.
_SPACE: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u202f\u205f\u3000"
)
#: Characters that act on a terminal or a web page instead of being shown there: control characters,
#: breaks of lines and paragraphs, and marks that reverse or hide text. The two joiners (U+200C,
#: U+200D), which Persian, Indian scripts and emoji need, are not among them. The ranges are written
#: out: Python's own table grows with its releases, but a series must keep its name.
_ACTING: Final = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
#: The rest of an escape after its backslash. Few others match: the `\x2d` of systemd and the `\x20` of
#: udev are in the names of many devices, and stay.
_ESCAPE: Final = (
    "x(?:[01][0-9a-f]|5c|7f|[89a-f][0-9a-f])"
    "|u(?:00[89a]|061|180|20[026]|d[89a-f][0-9a-f]|fef|fff)[0-9a-f]"
    "|U000(?:1343|1bca|1d17|e00[0-7])[0-9a-f]"
)
_ESCAPED: Final = re.compile(rf"[{_ACTING}\ud800-\udfff]|\\(?={_ESCAPE})")


def safe_text(text: str, limit: int = TEXT_BYTES) -> str:
    r"""Return `text` as valid UTF-8 of at most `limit` bytes, without characters that act.

    Such a character, and a byte that was not UTF-8, becomes `\xNN`, `\uNNNN` or `\UNNNNNNNN`. Where
    a text reads like one of them already, its backslash becomes `\x5c`. So texts that differ stay
    different (docs/decisions/032-text-for-a-server.md). A text that is cut ends in a hash of the
    whole, so it is the same in each poll and differs from others with the same beginning.
    """
    if len(text) <= limit and text.isascii() and text.isprintable() and "\\" not in text:
        return text  # as nearly all of them
    readable = _ESCAPED.sub(_escape, text)
    as_bytes = readable.encode()
    if len(as_bytes) <= limit:
        return readable
    digest = sha256(as_bytes).hexdigest()[:_DIGEST_DIGITS]
    kept = as_bytes[: limit - _DIGEST_DIGITS - 1].decode("utf-8", "ignore")
    return f"{kept}~{digest}"


def normalise(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return metadata as it is sent: `stripped`, and safe for a server."""
    return tuple((safe_text(key), safe_text(value)) for key, value in stripped(pairs))


def stripped(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return metadata as the server's library makes it: keys in lower case, stripped, each once.

    That library strips every value. What is mounted, and where, keeps its name here: `/srv` and
    `/srv ` are two directories, and would be one series.
    """
    kept: dict[str, str] = {}
    for key, value in pairs:
        name = key.lower().strip()
        kept.setdefault(name, value if name.endswith(_EXACT) else value.strip(_SPACE))
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


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        # A byte that is not UTF-8, as `os.fsdecode` returns it. A control character from U+0080 on has
        # four digits, so it is not taken for such a byte.
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
