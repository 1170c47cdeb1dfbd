"""How soon a worker that died is started again.

A worker that dies before it has done anything will most likely do so again: it is started ever
more slowly. One that worked and was killed is started at once, but not for ever: deaths are paid
from a purse that fills slowly, so that a worker that crashes at each poll does not eat the host.
"""

from __future__ import annotations

from typing import Final

_FIRST_S: Final = 0.25
_LARGEST_S: Final = 30.0
#: 30 deaths in a row are forgiven, and then one every two seconds.
_PURSE: Final = 30.0
_INCOME_PER_S: Final = 0.5


class Restarts:
    """Decides the delay after each death. Times are of a monotonic clock, in s."""

    def __init__(self) -> None:
        self._barren = 0
        self._purse = _PURSE
        self._paid_at = 0.0

    def delay_s(self, now: float, *, fruitful: bool) -> float:
        """Seconds to wait after a death at `now`; `fruitful` if the worker had done any work."""
        if not fruitful:
            self._barren += 1
            # The first may be an accident; from the second on there is a reason for it.
            steps = min(self._barren - 2, 16)
            return min(_FIRST_S * 2**steps, _LARGEST_S) if steps >= 0 else 0.0
        self._barren = 0
        self._purse = min(_PURSE, self._purse + (now - self._paid_at) * _INCOME_PER_S) - 1
        self._paid_at = now
        return max(0.0, -self._purse / _INCOME_PER_S)
