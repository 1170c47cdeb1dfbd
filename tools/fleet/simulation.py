"""The simulation: all polls at their ticks, and attempts when they are due, in order of time."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Final

from pattoo_mp.upload.remote_write.delivery import MAX_SAMPLES
from tools.fleet.agent import POLLS_PER_POST, SimulatedAgent
from tools.fleet.cluster import SERIES, SimulatedCluster
from tools.fleet.server import SimulatedServer

#: An agent whose first tick is further away than this (s) polls at once.
_FIRST_TICK_S: Final = 10.0


@dataclass(frozen=True)
class Scenario:
    """A number of agents with an interval and jitter (s), and an outage of the server (s).

    All agents start within `starts_within_s`, as on a site after a power failure. They post to a
    pattoo server, or by remote write to a `cluster` of so many nodes, so many of which store each
    request.
    """

    agents: int
    interval_s: float
    jitter_s: float
    down_s: tuple[float, float] = (0.0, 0.0)
    ends_s: float = 3600.0
    starts_within_s: float = 30.0
    seed: int = 1
    cluster: tuple[int, int] | None = None


@dataclass(frozen=True)
class Run:
    """The result of a scenario. `empty_at` is when the last backlog was gone after the outage (s)."""

    scenario: Scenario
    server: SimulatedServer | SimulatedCluster
    empty_at: float

    def rates(self) -> Counter[int]:
        """Return the number of attempts in each second."""
        return Counter(int(moment) for moment in self.server.arrivals)

    def peak(self, from_s: float, to_s: float) -> int:
        """Return the largest number of attempts in a second of this time."""
        return max((n for second, n in self.rates().items() if from_s <= second < to_s), default=0)

    def answer_s(self, share: float, before_s: float = inf) -> float:
        """Return the time within which this share of the answers came to posts before a time."""
        took = sorted(took_s for at, took_s in self.server.answered if at < before_s)
        return took[min(len(took) - 1, int(len(took) * share))] if took else 0.0


def as_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def simulate(scenario: Scenario) -> Run:
    """Run a scenario. The same scenario always gives the same run."""
    return _Simulation(scenario).run()


class _Simulation:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._draw = Random(scenario.seed)  # noqa: S311 - for delays, not for secrets
        self._server: SimulatedServer | SimulatedCluster = SimulatedServer(scenario.down_s)
        polls = POLLS_PER_POST
        if scenario.cluster:
            self._server = SimulatedCluster(scenario.down_s, *scenario.cluster)
            polls = MAX_SAMPLES // SERIES
        self._fleet = [
            SimulatedAgent(f"agent {number}", self._server, self._draw, scenario.jitter_s, polls)
            for number in range(scenario.agents)
        ]
        #: Future attempts: time and agent.
        self._due: list[tuple[float, int]] = []
        self._with_backlog: set[int] = set()
        self._empty_at = scenario.down_s[1]

    def run(self) -> Run:
        interval_s, ends_s = self._scenario.interval_s, self._scenario.ends_s
        starts = sorted(
            (self._draw.uniform(0, self._scenario.starts_within_s), number)
            for number in range(len(self._fleet))
        )
        ticks = [(tick * interval_s, starts) for tick in range(1, int(ends_s / interval_s) + 1)]
        # An agent that starts far from a tick polls once at once.
        polls = [(started, number) for started, number in starts if interval_s > _FIRST_TICK_S]
        for moment, numbers in ticks:
            polls += [(moment, number) for started, number in numbers if started < moment]
        for moment, number in polls:
            self._post_until(moment)
            self._poll(moment, number)
        self._post_until(ends_s)
        return Run(self._scenario, self._server, self._empty_at)

    def _poll(self, now: float, number: int) -> None:
        agent = self._fleet[number]
        if agent.poll(now):
            heapq.heappush(self._due, (max(agent.due_at, now), number))

    def _post_until(self, moment: float) -> None:
        while self._due and self._due[0][0] < moment:
            now, number = heapq.heappop(self._due)
            agent = self._fleet[number]
            if agent.polls.waiting > 1:
                self._with_backlog.add(number)
            free_at = agent.attempt(now)
            if agent.polls.waiting:
                heapq.heappush(self._due, (max(agent.due_at, free_at), number))
            elif number in self._with_backlog:
                self._with_backlog.discard(number)
                self._empty_at = max(self._empty_at, free_at)
