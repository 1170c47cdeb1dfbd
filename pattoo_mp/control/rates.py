"""What happened over the last minutes, without a timer: now and then the counts are noted.

A note is made as a message comes that is handled anyway, at most `_NOTES` in a window. What was
counted since a note is the difference between the counts now and the counts then.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.values import LEAST_S, spacing_s

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


class RecentCounts:
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


# Whether the server is behind, how fast it takes what waits, and so when that will be gone.

#: The speed is that of so many posts, the last ones.
_POSTS: Final = 20
#: A poll that had so many chances to be posted should have been.
_CHANCES: Final = 3


class DrainRate:
    """The posts that were taken one after the other. `clock` is monotonic, in s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: deque[tuple[float, int]] = deque(maxlen=_POSTS)

    def taken(self, polls: int) -> None:
        """Note that the server took so many polls."""
        self._taken.append((self._clock(), polls))

    def stopped(self) -> None:
        """Forget the speed: nothing is left, or the server takes nothing any more."""
        self._taken.clear()

    def polls_per_s(self) -> float | None:
        """The speed; None if the server takes nothing.

        As long as there was only one post, another is taken to follow it as soon as one may.
        """
        if not self._taken:
            return None
        first, *others = self._taken
        if not others:
            return first[1] / LEAST_S
        between_s = others[-1][0] - first[0]
        return sum(polls for _, polls in others) / max(between_s, LEAST_S)


def usual_spacing_s(shortest_s: float) -> float:
    """The time from one post to the next while the server is well; `shortest_s` is an interval."""
    return max(shortest_s, spacing_s(shortest_s))


def is_behind(since_ms: int, spacing_ms: int, now_ms: int) -> bool:
    """Whether what has waited since then should have been posted three posts ago; 0 is never."""
    return 0 < since_ms < now_ms - _CHANCES * spacing_ms


def backlog(waiting: int, polls_per_s: float | None, new_per_s: float) -> dict[str, float | None]:
    """What is to be said of polls that wait although the server should have them."""
    gone_s = gone_in_s(waiting, polls_per_s, new_per_s)
    return {
        "polls": waiting,
        "taken_per_s": None if polls_per_s is None else round(polls_per_s, 3),
        "gone_in_s": None if gone_s is None else round(gone_s, 1),
    }


def gone_in_s(backlog: int, polls_per_s: float | None, new_per_s: float) -> float | None:
    """When a backlog will be gone (s), with `new_per_s` polls added to it all the while.

    None if it is not, at this speed.
    """
    if polls_per_s is None:
        return None
    shrinks_by = polls_per_s - new_per_s
    return backlog / shrinks_by if shrinks_by > 0 else None
