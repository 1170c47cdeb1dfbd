"""Sources in which a whole collector hung, which the next collectors do not read for a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: How long a source is not read after a collector that hung in it could be killed (s). Each attempt
#: may cost a minute of polls.
_AGAIN_S: Final = 3600.0
_FOR_GOOD: Final = float("inf")


@dataclass(slots=True)
class _Hang:
    pid: int
    until: float
    why: str


class Hangs:
    """The sources by name, each with the reason why it is not read."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._hangs: dict[str, _Hang] = {}

    def killed(self, source: str, pid: int) -> None:
        """Record that a collector hung in a source, and was killed."""
        why = f"an earlier collector (process {pid}) hung in it; it is tried again every hour"
        self._hangs[source] = _Hang(pid, self._monotonic() + _AGAIN_S, why)

    def left_behind(self, source: str, pid: int) -> None:
        """Record that this collector could not be killed: as long as it exists, it hangs."""
        why = f"process {pid}, which cannot be killed, hangs in it"
        self._hangs[source] = _Hang(pid, _FOR_GOOD, why)

    def ended(self, pid: int) -> None:
        """Record that a process that was left behind has ended: what it waited for has answered."""
        self._hangs = {name: hang for name, hang in self._hangs.items() if hang.pid != pid}

    def reasons(self) -> dict[str, str]:
        """Return the reason for each source that is not to be read now."""
        now = self._monotonic()
        return {name: hang.why for name, hang in self._hangs.items() if now < hang.until}
