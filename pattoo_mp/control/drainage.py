"""How fast the server takes a backlog, and so when that will be gone."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: The speed is that of so many posts, the last ones.
_POSTS: Final = 20


class Drainage:
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

    def polls_per_s(self, spacing_s: float) -> float | None:
        """The speed; None if the server takes nothing.

        `spacing_s` is what lies between two posts, for as long as there was only one.
        """
        if not self._taken:
            return None
        first, *others = self._taken
        if not others:
            return first[1] / spacing_s
        between_s = others[-1][0] - first[0]
        return sum(polls for _, polls in others) / max(between_s, spacing_s)


def gone_in_s(backlog: int, polls_per_s: float | None, interval_ms: int) -> float | None:
    """When a backlog will be gone (s), with new polls added to it all the while.

    None if it is not, at this speed.
    """
    if polls_per_s is None:
        return None
    shrinks_by = polls_per_s - 1000 / interval_ms
    return backlog / shrinks_by if shrinks_by > 0 else None
