"""Plot the arrivals of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from tools.fleet.server import POSTS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.fleet.simulation import Run

_SIZE: Final = (9, 7)


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw one panel for each run, over the same time: attempts a second, and the outage."""
    # No random identifiers and no date, so that the same runs give the same file.
    mpl.rcParams["svg.hashsalt"] = "fleet"
    figure = Figure(figsize=_SIZE, layout="constrained")
    panels = figure.subplots(len(runs), 1, sharex=True)
    for run, panel in zip(runs, panels, strict=True):
        rates, scenario = run.rates(), run.scenario
        seconds = range(int(scenario.ends_s))
        panel.axvspan(*scenario.down_s, color="#f0e0d0", label="the server is away")
        panel.plot(seconds, [max(rates[s], 0.5) for s in seconds], linewidth=0.8, color="#205080")
        panel.axhline(POSTS_PER_S, color="#a03020", linewidth=0.8, label="what the server can take")
        panel.set_yscale("log")
        panel.set_ylim(0.5, 2 * scenario.agents)
        panel.set_title(f"post_jitter {scenario.jitter_s:g} s", loc="left", fontsize=10)
        panel.set_ylabel("attempts a second")
    panels[0].legend(loc="upper right", fontsize=8)
    panels[-1].set_xlabel("seconds")
    figure.savefig(path, metadata={"Date": None})
