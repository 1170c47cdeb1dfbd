"""python -m tools.fleet [--write]: simulate fleets through an outage; print the tables, or write docs.

With --write the tables and the picture go into docs/figures, for docs/fleet.md. The fleet that sends
remote write takes some minutes; --without-remote-write leaves it out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from tools.fleet.cluster_table import cluster_table
from tools.fleet.simulation import Run, Scenario, as_table, simulate

_FIGURES: Final = Path(__file__).resolve().parents[2] / "docs" / "figures"
#: Agents and interval (s): about a third, a quarter and a tenth of the server's capacity.
_FLEETS: Final = ((1_000, 10.0), (5_000, 60.0), (10_000, 300.0))
#: As fractions of the interval. The third is the agent's default, apart from its limit of 60 s.
_JITTERS: Final = (0.0, 0.1, 0.25, 0.5)
_PLOTTED: Final = (5_000, 60.0)
_OUTAGE_S: Final = 600.0
_AFTER_S: Final = 600.0
_HEAD: Final = (
    "agents",
    "interval",
    "post_jitter",
    "most in a second",
    "median answer",
    "99 % of answers",
    "most in a second after the outage",
    "turned away",
    "last backlog gone after",
)


def main() -> int:
    """Simulate, and print or write the results."""
    parser = argparse.ArgumentParser(prog="python -m tools.fleet", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures of docs/fleet.md")
    parser.add_argument(
        "--without-remote-write", action="store_true", help="leave out the fleet that sends it"
    )
    words = parser.parse_args()
    runs = [simulate(scenario) for scenario in scenarios()]
    table = as_table(_HEAD, [_row(run) for run in runs])
    sys.stdout.write(table)
    if not words.without_remote_write:
        clusters = cluster_table()
        sys.stdout.write(f"\n{clusters}")
        if words.write:
            (_FIGURES / "fleet-clusters.md").write_text(clusters, encoding="utf-8")
    if words.write:
        from tools.fleet.plot import draw  # noqa: PLC0415 - only drawing needs matplotlib

        (_FIGURES / "fleet-table.md").write_text(table, encoding="utf-8")
        plotted = [r for r in runs if (r.scenario.agents, r.scenario.interval_s) == _PLOTTED]
        draw(plotted, _FIGURES / "fleet.svg")
    return 0


def scenarios() -> list[Scenario]:
    """Return each fleet with each jitter: some ticks, an outage that begins between two, and its end."""
    return [
        _scenario(agents, interval_s, part) for agents, interval_s in _FLEETS for part in _JITTERS
    ]


def _scenario(agents: int, interval_s: float, part: float) -> Scenario:
    began_s = 4 * interval_s + 0.7 * interval_s
    ended_s = began_s + _OUTAGE_S
    ends_s = ended_s + max(_AFTER_S, 3 * interval_s)
    return Scenario(agents, interval_s, part * interval_s, (began_s, ended_s), ends_s)


def _row(run: Run) -> tuple[str, ...]:
    scenario = run.scenario
    began_s, ended_s = scenario.down_s
    return (
        f"{scenario.agents:,}",
        f"{scenario.interval_s:g} s",
        f"{scenario.jitter_s:g} s",
        f"{run.peak(2 * scenario.interval_s, began_s):,}",
        f"{run.answer_s(0.5):.2f} s",
        f"{run.answer_s(0.99):.2f} s",
        f"{run.peak(ended_s, scenario.ends_s):,}",
        f"{run.server.turned_away:,}",
        f"{run.empty_at - ended_s:.0f} s",
    )


if __name__ == "__main__":
    sys.exit(main())
