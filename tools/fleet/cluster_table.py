"""A fleet that sends remote write to clusters of several sizes, through an outage of an hour."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Final

from tools.fleet.cluster import SimulatedCluster
from tools.fleet.simulation import Scenario, as_table, simulate

if TYPE_CHECKING:
    from tools.fleet.simulation import Run

AGENTS: Final = 10_000
INTERVAL_S: Final = 10.0
#: Nodes, copies and jitter. The agent's default for the latter is 2.5 s here.
_CLUSTERS: Final = ((2, 1, 0.0), (2, 1, 2.5), (2, 1, 10.0), (4, 1, 2.5), (6, 3, 2.5))
#: By then all agents have started, and have sent their first poll, which goes at once.
_SETTLED_S: Final = 40.0
_BEFORE_S: Final = 97.0
_OUTAGE_S: Final = 3600.0
_AFTER_S: Final = 600.0
_HEAD: Final = (
    "nodes",
    "copies",
    "post_jitter",
    "load",
    "most requests in a second",
    "99 % of answers",
    "most in a second after the outage",
    "turned away",
    "most samples taken in a second",
    "last backlog gone after",
)


def cluster_table() -> str:
    """Simulate each cluster, in a process of its own, and return the table in Markdown."""
    with ProcessPoolExecutor(len(_CLUSTERS)) as processes:
        return as_table(_HEAD, list(processes.map(_simulated, _CLUSTERS)))


def _simulated(cluster: tuple[int, int, float]) -> tuple[str, ...]:
    return row(simulate(scenario(*cluster)))


def scenario(
    nodes: int, copies: int, jitter_s: float, agents: int = AGENTS, outage_s: float = _OUTAGE_S
) -> Scenario:
    """Return the fleet before, during and after an outage."""
    ended_s = _BEFORE_S + outage_s
    return Scenario(
        agents, INTERVAL_S, jitter_s, (_BEFORE_S, ended_s), ended_s + _AFTER_S, cluster=(nodes, copies)
    )  # fmt: skip


def row(run: Run) -> tuple[str, ...]:
    """Return a run's figures, as `_HEAD` names them."""
    scenario, cluster = run.scenario, run.server
    if not isinstance(cluster, SimulatedCluster):
        raise TypeError(f"a run with {cluster!r}; expected one with a cluster")
    began_s, ended_s = scenario.down_s
    taken = max(n for second, n in cluster.samples.items() if second >= int(ended_s))
    return (
        f"{cluster.nodes}",
        f"{cluster.copies}",
        f"{scenario.jitter_s:g} s",
        f"{cluster.load(scenario.agents / scenario.interval_s):.0%}",
        f"{run.peak(_SETTLED_S, began_s):,}",
        f"{run.answer_s(0.99, before_s=began_s):.2f} s",
        f"{run.peak(ended_s, scenario.ends_s):,}",
        f"{cluster.turned_away:,}",
        f"{taken / 1e6:.1f} million",
        f"{run.empty_at - ended_s:.0f} s",
    )
