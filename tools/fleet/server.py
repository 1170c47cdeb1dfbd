"""A pattoo server as clients see it: one queue of limited length, served at a steady rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pattoo_mp.upload.answer import Outcome

#: Posts a second that a real pattoo server handled on one machine, from clients that keep its cookie.
POSTS_PER_S: Final = 346.0
#: Connections that may wait: gunicorn's default backlog.
_BACKLOG: Final = 2048
#: The agent's time limits for a connection and for a whole answer (s).
_CONNECT_S: Final = 10.0
_EXCHANGE_S: Final = 30.0


@dataclass
class SimulatedServer:
    """Down from `down_s[0]` to `down_s[1]`. Posts must come in the order of their times.

    Like a real one, it processes every request that it accepted, even if the client has given up.
    """

    down_s: tuple[float, float] = (0.0, 0.0)
    posts_per_s: float = POSTS_PER_S
    #: The arrival and duration of each post that was answered in time.
    answered: list[tuple[float, float]] = field(default_factory=list)
    #: The arrival of each attempt of any kind.
    arrivals: list[float] = field(default_factory=list)
    given_up: int = 0
    turned_away: int = 0
    _free_at: float = 0.0

    def post(self, now: float, polls: int) -> tuple[Outcome, float]:  # noqa: ARG002 - as a cluster
        """Return the outcome of a post, and after how many seconds the client knows it."""
        self.arrivals.append(now)
        if self.down_s[0] <= now < self.down_s[1]:
            return Outcome("Connection refused"), 0.0
        waits_s = max(0.0, self._free_at - now)
        if waits_s * self.posts_per_s > _BACKLOG:
            self.turned_away += 1
            return Outcome("no connection"), _CONNECT_S
        took_s = waits_s + 1 / self.posts_per_s
        self._free_at = now + took_s
        if took_s > _EXCHANGE_S:
            self.given_up += 1
            return Outcome("no complete answer"), _EXCHANGE_S
        self.answered.append((now, took_s))
        return Outcome(), took_s
