"""An agent of the fleet: the real delivery, back-off and pacing on a simulated clock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from pattoo_mp.upload.delivery import Delivery
from pattoo_mp.upload.pacing import Backoff, Pace, offset_s
from pattoo_mp.upload.post import MAX_DATAPOINTS, BatchLimit, Post

if TYPE_CHECKING:
    from random import Random

    from pattoo_mp.upload.answer import Outcome
    from pattoo_mp.upload.delivery import Transport
    from tools.fleet.cluster import SimulatedCluster
    from tools.fleet.server import SimulatedServer

#: What fits into a post if a poll has 100 datapoints.
POLLS_PER_POST: Final = MAX_DATAPOINTS // 100


class _Polls:
    """A source of posts that counts polls instead of storing them."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self.batch_limit = BatchLimit()
        self.waiting = 0

    @property
    def in_turn(self) -> bool:
        """Whether the next post follows the last one at once."""
        return False

    def oldest(self) -> Post:
        polls = min(self.waiting, self.batch_limit.polls, self._most)
        return Post(
            self._name, bytes(polls), polls, "", partial(self._accepted, polls), lambda _: None
        )

    def single(self, number: int) -> Post | None:
        """None: no simulated failure has a connection, so none is taken for a fault of one poll."""

    def _accepted(self, polls: int) -> int:
        self.waiting -= polls
        return polls


class _Wire:
    """A transport that calls the simulated server. `took_s` is the duration of the last answer.

    A body has a byte for each poll.
    """

    def __init__(self, server: SimulatedServer | SimulatedCluster) -> None:
        self._server = server
        self.now = self.took_s = 0.0

    def post(self, agent_id: str, body: bytes) -> Outcome:  # noqa: ARG002 - the signature of a transport
        outcome, self.took_s = self._server.post(self.now, len(body))
        return outcome


class SimulatedAgent:
    """One agent. The simulation calls `poll` at each tick, and `attempt` once `due_at` has come.

    A post of it has at most `polls` polls.
    """

    def __init__(
        self,
        name: str,
        server: SimulatedServer | SimulatedCluster,
        draw: Random,
        jitter_s: float,
        polls: int = POLLS_PER_POST,
    ) -> None:
        self._wire = _Wire(server)
        self.polls = _Polls(name, polls)
        self._pace = Pace(offset_s(name, jitter_s))
        self._delivery = Delivery(
            [self.polls], cast("Transport", self._wire), lambda: 0, Backoff(draw.uniform)
        )

    def poll(self, now: float) -> bool:
        """Take a poll. Return whether an attempt must be scheduled, since nothing was waiting."""
        self.polls.waiting += 1
        if self.polls.waiting > 1:
            return False
        self._pace.polls_arrived(now)
        return True

    @property
    def due_at(self) -> float:
        """The time of the next attempt (s)."""
        return self._pace.not_before

    def attempt(self, now: float) -> float:
        """Try to post. Return when this agent can do the next thing (s)."""
        self._wire.now = now
        attempt = self._delivery.attempt()
        ended = now + self._wire.took_s
        if attempt is not None:
            self._pace.note_attempt(attempt, now, ended)
        return ended
