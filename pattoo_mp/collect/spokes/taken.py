"""What an answer of a spoke was found to hold: layouts and polls that may be believed.

Text stays as it came. It is made safe where that of this host's own polls is, when it is sent (wire/safe.py).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.spokes.exchange import AskError, shown
from pattoo_mp.ipc.messages import SpokeState
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, STRING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pattoo_mp.model import Pair

COUNTER32: Final = 32
#: The types of values that a pattoo server keeps.
NUMBERS: Final = frozenset({COUNTER32, COUNTER64, INTEGER, FLOAT})
DATA_TYPES: Final = NUMBERS | {STRING}
#: From here on the pattoo server's column overflows.
VALUE_LIMIT: Final = 1e30
TIME_LIMIT: Final = 2**53
#: The longest interval that is believed (ms): ten years.
INTERVAL_LIMIT: Final = 315_360_000_000
#: How far ahead of this host's clock a poll may be (ms). One from the far future would block its series on the
#: server until then, and in Prometheus those of all.
AHEAD_MS: Final = 30_000
#: More characters than this have no place in any key, name or value.
TEXT_CHARACTERS: Final = 65_536
#: How large a layout may be, written out (bytes, about). An answer names pairs and parts as often as it likes, so
#: 300 kB can stand for gigabytes. A host with 3,000 mounts has half of this.
LAYOUT_BYTES: Final = 16 << 20
#: What a pair takes in addition to its text.
_PAIR_BYTES: Final = 32
_AGENT_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
#: Surrogates that stand for no byte: no file name gives one, and nothing can encode them.
_LONE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")


@dataclass(slots=True)
class LeftOut:
    """How many values of an answer were left out, by reason."""

    reasons: Counter[str] = field(default_factory=Counter)

    def note(self, reason: str, values: int = 1) -> None:
        """Count values."""
        self.reasons[reason] += values

    @property
    def total(self) -> int:
        """How many in all."""
        return self.reasons.total()

    @property
    def why(self) -> str:
        """The reasons in a line, the commonest first."""
        return "; ".join(f"{values} {reason}" for reason, values in self.reasons.most_common(5))


def bad(why: str) -> AskError:
    """Return the error for an answer that cannot be used at all."""
    return AskError(SpokeState.REFUSING, why)


def agent_id(value: object) -> str:
    """Return an agent's identity, which goes into a URL and into the names of a server's files."""
    if not isinstance(value, str) or not _AGENT_ID.fullmatch(value):
        raise bad(f"its agent id is {_repr(value)}; expected up to 128 letters and digits")
    return value


def text(value: object) -> str | None:
    """Return a text; None if it is none, or one that cannot be made safe."""
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS:
        return None
    # Most text is ASCII, and answers of a hostile spoke have hundreds of thousands.
    return value if value.isascii() or not _LONE.search(value) else None


def written_out(metadata: Iterable[Sequence[str | None]]) -> int:
    """Return how much a series with this metadata adds to its layout (`LAYOUT_BYTES`)."""
    size = _PAIR_BYTES
    for pair in metadata:
        size += _PAIR_BYTES
        for one in pair:
            if one is not None:
                size += len(one) if one.isascii() else 4 * len(one)
    return size


def number(value: object) -> int | float | None:
    """Return a value that a server can keep; None for others. As in a server, a string may be a number."""
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 400 else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.fabs(float(value)) < VALUE_LIMIT else None
    except OverflowError:
        return None


def interval_ms(value: object) -> int | None:
    """Return an interval (ms); None if it is none."""
    if type(value) is int and 0 < value <= INTERVAL_LIMIT:
        return value
    return None


def pairs(value: object) -> tuple[Pair, ...] | None:
    """Return metadata; None if it is none."""
    if not isinstance(value, list) or len(value) > 250:
        return None
    found = []
    for pair in value:
        match pair:
            case [key, given] if text(key) is not None and text(given) is not None:
                found.append((str(key), str(given)))
            case _:
                return None
    return tuple(found)


def clock_error(ahead_ms: int) -> AskError:
    """Return the error for an answer from the future."""
    from pattoo_mp.util.text import duration  # noqa: PLC0415

    return bad(f"its clock is {duration(ahead_ms / 1000)} ahead of this host's")


def too_large() -> AskError:
    """Return the error for an answer with a layout that is too large."""
    return bad("the series of its answer are too large once they are written out")


def _repr(value: object) -> str:
    return f"'{shown(value)}'" if isinstance(value, str) else type(value).__name__
