"""How long to wait before the next attempt: exponential, with full jitter.

Full jitter (a delay drawn evenly from nothing to the bound) spreads the agents of a site that
all lost the same server, so that they do not come back as one.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S: Final = 1.0
LARGEST_S: Final = 30.0


class Backoff:
    """Counts failures in a row. `draw` is `random.uniform` or a stand-in for it."""

    def __init__(self, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._draw = draw
        self._failures = 0

    def failed(self) -> float:
        """Note a failure; return how many seconds to wait, at most `LARGEST_S`."""
        bound = LARGEST_S
        if self._failures < 16:  # beyond this the bound is reached for any first step
            bound = min(LARGEST_S, FIRST_S * 2**self._failures)
        self._failures += 1
        return self._draw(0, bound)

    def slow(self) -> float:
        """Note a failure that only a person can mend; return a long delay at once.

        It is drawn from the upper half of what there is: rarely tried, and all the same not by all
        agents of a site in step.
        """
        self._failures += 1
        return self._draw(LARGEST_S / 2, LARGEST_S)

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0
