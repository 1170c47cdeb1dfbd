"""When the next post may be tried: pure, and the same for a real agent and a simulated one.

Posts are spaced, so polls that come faster share one, and those that come more slowly have one each. A
backlog goes as fast as the server answers, and once a second at most; but where a second brings more
than half of what a post may hold, so often that it goes at least twice as fast as it came.

All agents of a site poll at the same moment, since ticks are multiples of the interval on the wall
clock. If all posted at once, a server that takes some hundred posts a second would let the last of
them wait until they give up, and come again. So each agent posts at a moment of its own after its
poll, the same after every poll (docs/fleet.md).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.values import LEAST_S
from pattoo_mp.upload.fault import Fault
from pattoo_mp.util.lean_imports import sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.upload.post import Attempt


_DIGEST_RANGE: Final = 2**64
_NEVER: Final = float("-inf")
#: So many times as fast as it came goes a backlog at the least, if the server takes it.
_HASTE: Final = 2


def offset_s(agent_id: str, jitter_s: float) -> float:
    """How long after a poll this agent posts: from nothing to `jitter_s`, evenly over all agents."""
    digest = sha256(agent_id.encode("utf-8", "backslashreplace")).digest()
    return jitter_s * int.from_bytes(digest[:8], "big") / _DIGEST_RANGE


class Pace:
    """Plans the attempts of one agent. Times are of a monotonic clock, in s.

    `offset_s` may change at any time, and counts for what waits already; `spacing_s` too, and counts
    from the next post on. `least_s` is the spacing of a backlog, and of what was refused.
    """

    def __init__(
        self, offset_s: float = 0.0, spacing_s: float = LEAST_S, least_s: float = LEAST_S
    ) -> None:
        self.offset_s = offset_s
        self.spacing_s = spacing_s
        self._least_s = least_s
        self._free_at = _NEVER
        self._came_at = _NEVER
        self._is_first = True

    @property
    def not_before(self) -> float:
        """When the next attempt may be made; in the past if it may be made now."""
        return max(self._free_at, self._came_at + self.offset_s)

    def polls_arrived(self, now: float) -> None:
        """Note that there was nothing to post, and now there is.

        The first post goes at once: agents do not start at the same moment, and who starts one
        wants to see it arrive.
        """
        if not self._is_first:
            self._came_at = now
        self._is_first = False

    def note_attempt(self, attempt: Attempt, started: float, ended: float) -> None:
        """Note an attempt: posts are spaced from start to start, and after a failure from its end."""
        if attempt.failed:
            self._free_at = ended + max(self._least_s, attempt.wait_s)
        else:
            self._free_at = started + self._spacing_s(attempt)

    def _spacing_s(self, attempt: Attempt) -> float:
        if not attempt.more:
            return self.spacing_s
        return min(self._least_s, self.spacing_s, attempt.span_s / _HASTE)

    def server_changed(self) -> None:
        """Forget how the last attempt ended: it was another's doing."""
        self._free_at = _NEVER


# How long to wait before the next attempt: exponential, with full jitter.
#
# Full jitter (a delay drawn evenly from nothing to the bound) spreads the agents of a site that
# all lost the same server, so that they do not come back as one.

FIRST_S: Final = 1.0
LARGEST_S: Final = 30.0
#: Faults that only a person can mend.
_LASTING: Final = frozenset({Fault.NOT_PATTOO, Fault.DENIED})


class Backoff:
    """Counts failures in a row. `draw` is `random.uniform` or a stand-in for it."""

    def __init__(self, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._draw = draw
        self._failures = 0

    def failed(self, fault: Fault = Fault.UNREACHABLE, retry_after_s: float = 0.0) -> float:
        """Note a failure; return the seconds to wait before the next attempt.

        `retry_after_s` is the delay that the server asked for. The drawn delay, at most `LARGEST_S`,
        is added to it, so that the server's agents do not all return at once.
        """
        return retry_after_s + self._delay_s(fault)

    def _delay_s(self, fault: Fault) -> float:
        failures = self._failures
        self._failures += 1
        if fault in _LASTING:
            # Retry rarely, from the first failure on, but not in step with the site's other agents.
            return self._draw(LARGEST_S / 2, LARGEST_S)
        bound = LARGEST_S
        if failures < 16:  # later the bound is `LARGEST_S` anyway, and the power would be huge
            bound = min(LARGEST_S, FIRST_S * 2**failures)
        return self._draw(0, bound)

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0
