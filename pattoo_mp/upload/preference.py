"""Which of several servers gets the posts: a pure decision.

The first that there is, in the order of the configuration. One that takes nothing for `after_s` is
left for the next that is well; so a shorter outage changes nothing, since the spool waits anyway.
One that stands before it is gone back to when it was well at every look for as long. Between any
two changes for the worse the time has to pass again, so nothing flaps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: So many looks, at the least, before a server is gone back to; and the most time (s) between two.
_LOOKS: Final = 4
_MOST_S: Final = 60.0


class Preference:
    """Chooses among `count` servers, numbered by preference. Times are of a monotonic clock, in s."""

    def __init__(self, count: int, after_s: float) -> None:
        self.current = 0
        self._count = count
        self._after_s = after_s
        self._failing_since: float | None = None
        self._well_since: dict[int, float] = {}
        self._look_at = 0.0

    def tried(self, now: float, *, taken: bool) -> None:
        """Note what came of an attempt to post to `current`."""
        if taken:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = now

    def to_look_at(self, now: float) -> Sequence[int]:
        """Which servers to look at now, in this order."""
        if self._failing_since is None:
            return range(self.current) if now >= self._look_at else ()
        if now - self._failing_since < self._after_s:
            return ()
        return [number for number in range(self._count) if number != self.current]

    def is_next(self, number: int, now: float, *, well: bool) -> bool:
        """Note how one that was looked at is; whether it is to be `current` from now on."""
        if self._failing_since is not None:
            return well
        self._look_at = now + min(_MOST_S, self._after_s / _LOOKS)
        if not well:
            self._well_since.pop(number, None)
            return False
        return now - self._well_since.setdefault(number, now) >= self._after_s

    def take(self, number: int, now: float) -> None:
        """Go over to another."""
        self.current = number
        self._failing_since = None
        self._well_since.clear()
        self._look_at = now
