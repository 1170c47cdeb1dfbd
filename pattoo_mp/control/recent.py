"""What happened over the last minutes, without a timer: now and then the counts are noted.

A note is made as a message comes that is handled anyway, at most `_NOTES` in a window. What was
counted since a note is the difference between the counts now and the counts then.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Counts by their names, each since some moment in the past.
Counts = dict[str, int]

_LEAST_WINDOW_S: Final = 300.0
#: A host that is polled every few minutes has a rate only over several polls.
_INTERVALS: Final = 3
_NOTES: Final = 30


def window_s(interval_ms: int) -> float:
    """How far back "recent" goes (s): five minutes, or three intervals if that is more."""
    return max(_LEAST_WINDOW_S, _INTERVALS * interval_ms / 1000)


class Recent:
    """Counts as they stood at some moments of the last window. `clock` is monotonic, in s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._notes: deque[tuple[float, Counts]] = deque()

    def note(self, window: float, counts: Callable[[], Counts]) -> None:
        """Note the counts, unless that was done only just now."""
        now = self._clock()
        if self._notes and now < self._notes[-1][0] + window / _NOTES:
            return
        self._notes.append((now, counts()))
        # The newest of those that have left the window is where the window begins.
        while len(self._notes) > 1 and self._notes[1][0] <= now - window:
            self._notes.popleft()

    def since(self, window: float, counts: Counts) -> tuple[float, Counts]:
        """How many seconds are looked back, and what was counted in them; `counts` are those now.

        It is the window and a little more, and less as long as there is no more to look back on.
        """
        now = self._clock()
        begin = None
        for at, then in self._notes:
            if begin is not None and at > now - window:
                break
            begin = (at, then)
        if begin is None:
            return 0.0, dict.fromkeys(counts, 0)
        return now - begin[0], {k: max(0, n - begin[1][k]) for k, n in counts.items()}
