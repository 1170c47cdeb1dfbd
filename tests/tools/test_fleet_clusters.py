"""The simulated fleet that sends remote write."""

from __future__ import annotations

from typing import Final

import pytest

from pattoo_mp.upload.fault import Fault
from tools.fleet.cluster import SERIES, SimulatedCluster
from tools.fleet.cluster_table import row, scenario
from tools.fleet.simulation import Run, simulate

AGENTS: Final = 200
#: In this outage (s) each agent keeps so many polls, or one more.
OUTAGE_S: Final = 300.0
KEPT: Final = 30


def simulated(nodes: int = 2, copies: int = 1, jitter_s: float = 2.5) -> Run:
    """Simulate a small fleet."""
    return simulate(scenario(nodes, copies, jitter_s, agents=AGENTS, outage_s=OUTAGE_S))


def stored(run: Run) -> int:
    """Return how many polls the cluster has."""
    assert isinstance(run.server, SimulatedCluster)
    assert not run.server.samples.total() % SERIES
    return run.server.samples.total() // SERIES


def test_every_poll_is_stored_once() -> None:
    """Those of the outage, too. The last tick may still be on its way at the end."""
    run = simulated()
    ticks = int(run.scenario.ends_s / run.scenario.interval_s)
    # The agents start within 30 s, so the first ticks have not all of them.
    assert AGENTS * (ticks - 4) < stored(run) <= AGENTS * ticks
    assert run.server.turned_away == 0


def test_a_backlog_is_one_request() -> None:
    """What an agent polls in five minutes has fewer samples than a request may have."""
    run = simulated()
    _, ended_s = run.scenario.down_s
    assert isinstance(run.server, SimulatedCluster)
    at_once = [at for at, _ in run.server.answered if ended_s <= at < run.empty_at]
    of_it = [n for second, n in run.server.samples.items() if ended_s <= second < run.empty_at]
    assert AGENTS <= len(at_once) < 5 * AGENTS
    assert sum(of_it) >= AGENTS * KEPT * SERIES
    assert ended_s < run.empty_at < ended_s + 60


def test_an_outage_ends_in_no_peak() -> None:
    """The back-off spreads the returns; without jitter all come at once, as at any tick."""
    spread, together = simulated(jitter_s=10), simulated(jitter_s=0)
    _, ended_s = spread.scenario.down_s
    assert spread.peak(ended_s, spread.scenario.ends_s) < AGENTS / 3
    assert together.peak(ended_s, together.scenario.ends_s) == AGENTS


def test_copies_cost_their_nodes() -> None:
    """Three copies on three nodes are the load of one node."""
    one_node = SimulatedCluster().load(100)
    assert SimulatedCluster(nodes=3, copies=3).load(100) == pytest.approx(one_node)
    one, three = SimulatedCluster(nodes=3), SimulatedCluster(nodes=3, copies=3)
    for cluster in (one, three):
        answers = [cluster.post(0.0, 500)[1] for _ in range(3)]
        waits = (1, 1, 1) if cluster is one else (1, 2, 3)
        assert answers == pytest.approx([answers[0] * n for n in waits])


def test_a_cluster_that_is_busy_turns_away_and_recovers() -> None:
    """Nothing of such a request is stored; the agent takes it for what it is."""
    cluster = SimulatedCluster()
    outcomes = [cluster.post(0.0, 500)[0] for _ in range(300)]
    refused = [outcome for outcome in outcomes if not outcome.delivered]
    assert 0 < len(refused) == cluster.turned_away < 300
    assert {outcome.fault for outcome in refused} == {Fault.BUSY}
    assert cluster.samples.total() == (300 - len(refused)) * 500 * SERIES
    assert cluster.post(10.0, 1)[0].delivered


def test_a_cluster_that_is_away_refuses_connections() -> None:
    """Nothing is stored."""
    cluster = SimulatedCluster((10.0, 20.0))
    assert [cluster.post(at, 1)[0].delivered for at in (9.9, 10.0, 19.9, 20.0)] == [
        True, False, False, True,
    ]  # fmt: skip
    assert cluster.samples.total() == 2 * SERIES


def test_the_table_has_the_figures_of_a_run() -> None:
    """Each column has its own."""
    run = simulated()
    figures = row(run)
    assert figures[:4] == ("2", "1", "2.5 s", "1%")
    assert figures[6] == f"{run.peak(run.scenario.down_s[1], run.scenario.ends_s):,}"
    assert figures[7] == "0"
    assert figures[-1] == f"{run.empty_at - run.scenario.down_s[1]:.0f} s"


def test_a_run_with_a_pattoo_server_is_no_row() -> None:
    """It has no nodes."""
    run = simulated()
    with pytest.raises(TypeError, match="expected one with a cluster"):
        row(Run(run.scenario, None, 0.0))  # type: ignore[arg-type]
