"""Logs dropped polls: at the beginning of a run of drops for a reason, then once an hour.

Every drop is in one of the lines, whichever part dropped the poll: the channel or the spool. With several
outputs, a line names the one that does not get the polls.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.control.ledger import Dropped

_LOG = logging.getLogger(__name__)

#: The time between two lines for a reason (s). A run ends if nothing is dropped for so long.
_EVERY_S: Final = 3600.0


class DropLog:
    """Logs the drops by reason from their totals; `monotonic` is the clock."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._several = False
        self._logged: Counter[Dropped] = Counter()
        #: When the last line of each run that goes on was written.
        self._written_at: dict[Dropped, float] = {}

    def skip(self, drops: Mapping[Dropped, int]) -> None:
        """Take drops as logged: an earlier process has done so."""
        self._logged.update(drops)

    def note(self, totals: Mapping[Dropped, int], *, several: bool = False) -> None:
        """Log what is due of these totals."""
        self._several = several
        now = self._monotonic()
        for dropped, total in totals.items():
            # A total shrinks if polls that were lost turn out to be delivered.
            self._logged[dropped] = min(self._logged[dropped], total)
            new = total - self._logged[dropped]
            written_at = self._written_at.get(dropped)
            if written_at is None:
                if new:
                    self._write(dropped, total, new, "")
            elif now >= written_at + _EVERY_S:
                del self._written_at[dropped]
                if new:
                    self._write(dropped, total, new, " within an hour")

    def finish(self, totals: Mapping[Dropped, int], *, several: bool = False) -> None:
        """Log all that was dropped since the last lines: this process ends."""
        self._several = several
        for dropped, total in totals.items():
            new = total - self._logged[dropped]
            if new > 0:
                self._write(dropped, total, new, " since the last such line")

    def _write(self, dropped: Dropped, total: int, new: int, when: str) -> None:
        self._logged[dropped] = total
        self._written_at[dropped] = self._monotonic()
        reason, output = dropped
        if output and self._several:
            reason = f"{reason} (output {output})"
        _LOG.error("%s dropped%s: %s.", counted(new, "poll"), when, reason)
