"""Recent counts, the rate at which the server takes polls, and the backlog.

Recent counts need no timer. While a message is handled, a sample of the counts is taken, at most
`_SAMPLES` in a window. The difference between the current counts and a sample is what was counted
since then.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.values import LEAST_S, spacing_s

if TYPE_CHECKING:
    from collections.abc import Callable


#: Counts by name. All only grow, from some moment in the past.
Counts = dict[str, int]

_LEAST_WINDOW_S: Final = 300.0
#: With an interval of minutes, a rate needs several polls.
_INTERVALS: Final = 3
_SAMPLES: Final = 30


def window_s(interval_ms: int) -> float:
    """Return the length of the "recent" window (s): five minutes, or three intervals if longer."""
    return max(_LEAST_WINDOW_S, _INTERVALS * interval_ms / 1000)


class RecentCounts:
    """Samples of counts over the last window. `clock` is monotonic, in s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, Counts]] = deque()

    def record(self, window: float, counts: Callable[[], Counts]) -> None:
        """Take a sample of the counts, unless the last one is very recent."""
        now = self._clock()
        if self._samples and now < self._samples[-1][0] + window / _SAMPLES:
            return
        self._samples.append((now, counts()))
        # Keep one sample from before the window: the window is measured from it.
        while len(self._samples) > 1 and self._samples[1][0] <= now - window:
            self._samples.popleft()

    def since(self, window: float, counts: Counts) -> tuple[float, Counts]:
        """Return a period in s and what was counted in it; `counts` are the current ones.

        The period is slightly longer than the window, but shorter after a start.
        """
        now = self._clock()
        begin = None
        for at, then in self._samples:
            if begin is not None and at > now - window:
                break
            begin = (at, then)
        if begin is None:
            return 0.0, dict.fromkeys(counts, 0)
        return now - begin[0], {k: max(0, n - begin[1][k]) for k, n in counts.items()}


# Whether the server is behind, how fast it takes waiting polls, and when the backlog will be gone.

#: The rate is measured over this many of the last posts.
_POSTS: Final = 20
#: A poll should have been posted after the time of this many posts.
_POSTS_LATE: Final = 3


class DrainRate:
    """The rate at which the server takes polls. `clock` is monotonic, in s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: deque[tuple[float, int]] = deque(maxlen=_POSTS)

    def record(self, polls: int) -> None:
        """Record that the server took this many polls."""
        self._taken.append((self._clock(), polls))

    def reset(self) -> None:
        """Forget the rate: no polls are left, or the server stopped taking them."""
        self._taken.clear()

    def polls_per_s(self) -> float | None:
        """Return the rate; None if the server takes nothing.

        After a single post, assume that the next one follows as soon as allowed.
        """
        if not self._taken:
            return None
        first, *others = self._taken
        if not others:
            return first[1] / LEAST_S
        between_s = others[-1][0] - first[0]
        return sum(polls for _, polls in others) / max(between_s, LEAST_S)


def usual_spacing_s(shortest_s: float) -> float:
    """Return the time between posts while the server is well; `shortest_s` is the shortest interval."""
    return max(shortest_s, spacing_s(shortest_s))


def is_behind(since_ms: int, spacing_ms: int, now_ms: int) -> bool:
    """Whether a poll that waits since `since_ms` is overdue by three posts; 0: none waits."""
    return 0 < since_ms < now_ms - _POSTS_LATE * spacing_ms


def backlog(waiting: int, polls_per_s: float | None, new_per_s: float) -> dict[str, float | None]:
    """Return the backlog for the status: overdue polls, their rate, and when they will be gone."""
    gone_s = gone_in_s(waiting, polls_per_s, new_per_s)
    return {
        "polls": waiting,
        "taken_per_s": None if polls_per_s is None else round(polls_per_s, 3),
        "gone_in_s": None if gone_s is None else round(gone_s, 1),
    }


def gone_in_s(waiting: int, polls_per_s: float | None, new_per_s: float) -> float | None:
    """Return when a backlog will be gone (s), while `new_per_s` polls are added to it.

    None if it never will be at this rate.
    """
    if polls_per_s is None:
        return None
    shrinks_by = polls_per_s - new_per_s
    return waiting / shrinks_by if shrinks_by > 0 else None
