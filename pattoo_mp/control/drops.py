"""Logs dropped polls: at the beginning of a run of drops for a reason, then once an hour.

Every drop is in one of the lines, whoever dropped the poll: the channel or the spool.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOG = logging.getLogger(__name__)

#: The time between two lines for a reason (s). A run ends if nothing is dropped for so long.
_EVERY_S: Final = 3600.0


class DropLog:
    """Logs the drops by reason from their totals; `monotonic` is the clock."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._logged: Counter[str] = Counter()
        #: When the last line of each run that goes on was written.
        self._written_at: dict[str, float] = {}

    def skip(self, drops: Mapping[str, int]) -> None:
        """Take drops as logged: an earlier process has done so."""
        self._logged.update(drops)

    def note(self, totals: Mapping[str, int]) -> None:
        """Log what is due of these totals."""
        now = self._monotonic()
        for reason, total in totals.items():
            # A total shrinks if polls that were lost turn out to be delivered.
            self._logged[reason] = min(self._logged[reason], total)
            new = total - self._logged[reason]
            written_at = self._written_at.get(reason)
            if written_at is None:
                if new:
                    self._write(reason, total, new, "")
            elif now >= written_at + _EVERY_S:
                del self._written_at[reason]
                if new:
                    self._write(reason, total, new, " within an hour")

    def finish(self, totals: Mapping[str, int]) -> None:
        """Log all that was dropped since the last lines: this process ends."""
        for reason, total in totals.items():
            new = total - self._logged[reason]
            if new > 0:
                self._write(reason, total, new, " since the last such line")

    def _write(self, reason: str, total: int, new: int, when: str) -> None:
        self._logged[reason] = total
        self._written_at[reason] = self._monotonic()
        _LOG.error("%s dropped%s: %s.", counted(new, "poll"), when, reason)
