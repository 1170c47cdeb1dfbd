"""Says in the log when polls carry times that are to come, and when they no longer do."""

from __future__ import annotations

import logging

from pattoo_mp.model import AHEAD_MS
from pattoo_mp.util import text

_LOG = logging.getLogger(__name__)


class Ahead:
    """Whether the schedule is ahead of the wall clock, which was set back (see `schedule`)."""

    def __init__(self) -> None:
        self._is_told = False

    def look(self, tick_ms: int, now_ms: int) -> None:
        """Note a poll of the time `tick_ms`, made at `now_ms` by the wall clock."""
        is_ahead = tick_ms > now_ms + AHEAD_MS
        if is_ahead == self._is_told:
            return
        self._is_told = is_ahead
        if is_ahead:
            _LOG.warning(
                "Polls carry times that are %s ahead of this host's clock, which was set back, or was "
                "wrong before.",
                text.duration((tick_ms - now_ms) / 1000),
            )
        else:
            _LOG.warning("Polls carry the times of this host's clock again.")
