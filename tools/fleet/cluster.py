"""Receivers of remote write as clients see them: nodes behind a load balancer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pattoo_mp.upload.answer import Answer, Outcome

#: The samples of a poll: a series each.
SERIES: Final = 100
#: Processor time of a real Prometheus 2.42 with 200,000 series (s): for a request, and for each of
#: its samples.
_REQUEST_S: Final = 0.0009
_SAMPLE_S: Final = 1 / 1_100_000
#: A node turns away what would wait for longer (s).
_QUEUE_S: Final = 5.0
_BUSY: Final = Answer(503, "Service Unavailable", b"").failure("an answer of a receiver")


@dataclass
class SimulatedCluster:
    """Nodes of one processor each; `copies` of them store a request, and the answer waits for all.

    Down from `down_s[0]` to `down_s[1]`. The load balancer gives each request to the next nodes in
    turn. Requests must come in the order of their times.
    """

    down_s: tuple[float, float] = (0.0, 0.0)
    nodes: int = 1
    copies: int = 1
    #: The arrival and duration of each request that was answered in time.
    answered: list[tuple[float, float]] = field(default_factory=list)
    #: The arrival of each attempt of any kind.
    arrivals: list[float] = field(default_factory=list)
    #: The samples that were stored, by the second in which they arrived.
    samples: Counter[int] = field(default_factory=Counter)
    turned_away: int = 0
    _free_at: list[float] = field(default_factory=list)
    _next: int = 0

    def post(self, now: float, polls: int) -> tuple[Outcome, float]:
        """Return the outcome of a request, and after how many seconds the client knows it."""
        self.arrivals.append(now)
        if self.down_s[0] <= now < self.down_s[1]:
            return Outcome("Connection refused"), 0.0
        free_at = self._free_at = self._free_at or [0.0] * self.nodes
        chosen = [(self._next + copy) % self.nodes for copy in range(self.copies)]
        self._next = (self._next + 1) % self.nodes
        if max(free_at[node] for node in chosen) - now > _QUEUE_S:
            self.turned_away += 1
            return _BUSY, 0.0
        for node in chosen:
            free_at[node] = max(now, free_at[node]) + _REQUEST_S + polls * SERIES * _SAMPLE_S
        took_s = max(free_at[node] for node in chosen) - now
        self.answered.append((now, took_s))
        self.samples[int(now)] += polls * SERIES
        return Outcome(), took_s

    def load(self, polls_per_s: float) -> float:
        """Return the share of the nodes' time that polls take which come one in a request."""
        return polls_per_s * (_REQUEST_S + SERIES * _SAMPLE_S) * self.copies / self.nodes
