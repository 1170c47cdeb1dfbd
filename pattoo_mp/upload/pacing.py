"""When the next post may be tried: spacing while all is well, back-off after failures. No I/O.

The fleet simulation in tools/fleet uses the same code as a real agent.

Posts are spaced, so polls that come faster than the spacing share a post, and slower ones get one
each. A backlog goes as fast as the server answers, but at most once a second. If a second brings
more than half of what a post may hold, it goes more often: at least twice as fast as the polls
came.

All agents of a site poll at the same moment, since ticks are multiples of the interval on the wall
clock. If all posted at once, a server that handles a few hundred posts a second would keep the last
of them waiting until they time out and try again. So each agent posts at its own offset after its
poll, the same after every poll (docs/fleet.md).

Delays after failures grow exponentially, with full jitter: each delay is drawn evenly between
nothing and the bound. That spreads the agents of a site that lost the same server, so that they do
not all return at once.
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
#: A backlog goes at least so many times as fast as it came, if the server keeps up.
_CATCH_UP: Final = 2


def offset_s(agent_id: str, jitter_s: float) -> float:
    """Return how long after a poll this agent posts: 0 to `jitter_s`, spread over all agents."""
    digest = sha256(agent_id.encode("utf-8", "backslashreplace")).digest()
    return jitter_s * int.from_bytes(digest[:8], "big") / _DIGEST_RANGE


class Pace:
    """Plans the attempts of one agent. Times are monotonic, in seconds.

    `offset_s` and `spacing_s` may change at any time. A new offset applies to polls that already
    wait, a new spacing from the next post on. `least_s` is the spacing of a backlog and of retries
    after a refusal.
    """

    def __init__(
        self, offset_s: float = 0.0, spacing_s: float = LEAST_S, least_s: float = LEAST_S
    ) -> None:
        self.offset_s = offset_s
        self.spacing_s = spacing_s
        self._least_s = least_s
        self._free_at = _NEVER
        self._arrived_at = _NEVER
        self._is_first = True

    @property
    def not_before(self) -> float:
        """The earliest time of the next attempt; in the past if it may start now."""
        return max(self._free_at, self._arrived_at + self.offset_s)

    def polls_arrived(self, now: float) -> None:
        """Note that polls wait again, after nothing did.

        The first post goes at once: agents do not all start at the same moment, and whoever starts
        one wants to see it arrive.
        """
        if not self._is_first:
            self._arrived_at = now
        self._is_first = False

    def note_attempt(self, attempt: Attempt, started: float, ended: float) -> None:
        """Note an attempt. Posts are spaced from start to start, retries from the failure's end."""
        if attempt.failed:
            self._free_at = ended + max(self._least_s, attempt.wait_s)
        elif attempt.at_once:
            self._free_at = ended
        else:
            self._free_at = started + self._spacing_s(attempt)

    def _spacing_s(self, attempt: Attempt) -> float:
        if not attempt.more:
            return self.spacing_s
        return min(self._least_s, self.spacing_s, attempt.span_s / _CATCH_UP)

    def server_changed(self) -> None:
        """Allow an attempt at once: the last one says nothing about the new server."""
        self._free_at = _NEVER


#: The bound of the first delay, and the largest bound.
FIRST_S: Final = 1.0
LARGEST_S: Final = 30.0
#: Faults that do not pass by themselves: the operator must act.
_LASTING: Final = frozenset({Fault.NOT_PATTOO, Fault.DENIED})


class Backoff:
    """The delay after a failure. `draw` is `random.uniform` or, in tests, a replacement."""

    def __init__(self, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._draw = draw
        self._failures = 0

    def failed(self, fault: Fault = Fault.UNREACHABLE, retry_after_s: float = 0.0) -> float:
        """Note a failure; return the seconds to wait before the next attempt.

        `retry_after_s` is the delay that the server asked for. The drawn delay, at most
        `LARGEST_S`, is added to it, so that the server's agents do not all return at once.
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
        """Start over: the next failure counts as the first."""
        self._failures = 0
