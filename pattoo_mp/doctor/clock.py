"""Whether this host's clock can be believed."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from pattoo_mp.doctor.finding import Finding, note, trouble, well
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Iterator

#: adjtimex(2): the clock is not synchronised.
_TIME_ERROR: Final = 5
#: Larger than struct timex on any architecture. All zeros only asks.
_TIMEX_BYTES: Final = 512
#: The server gives its time in whole seconds, and its answer takes a while.
_SAME_TIME_S: Final = 5.0


def is_synchronised() -> bool | None:
    """Whether the kernel follows a time server; None if it does not say."""
    try:
        answer = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def findings(synchronised: bool | None, ahead_s: float | None) -> Iterator[Finding]:
    """What the kernel says of its clock, and by how much the server's is ahead, where known."""
    if ahead_s is not None:
        yield _against_the_server(ahead_s)
    if synchronised:
        yield well("time server", "followed")
    elif synchronised is not None:
        yield note(
            "time server",
            "none is followed, as far as the kernel knows",
            "run chrony, ntpd or systemd-timesyncd: polls carry this host's time",
        )


def _against_the_server(ahead_s: float) -> Finding:
    if abs(ahead_s) <= _SAME_TIME_S:
        return well("clock", "agrees with the server's")
    where = "behind" if ahead_s > 0 else "ahead of"
    return trouble(
        "clock",
        f"{text.duration(abs(ahead_s))} {where} the server's",
        "set it, and let both follow a time server: polls carry this host's time, and one from the "
        "future keeps all that come before then out of the charts",
    )
