"""The family that reports the agent's own ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.context import Plan
from pattoo_mp.collect.families.agent import TABLES, figures, sources
from pattoo_mp.collect.filters import Filters
from pattoo_mp.control.ledger import Ledger
from pattoo_mp.spool.account import OutputState, SpoolState
from tests.support.configs import config_in

if TYPE_CHECKING:
    from pathlib import Path


def test_each_figure_of_the_ledger_has_a_metric() -> None:
    """Control and the family use the same names."""
    (table,) = TABLES
    assert {metric.name for metric in table.metrics} == set(Ledger(1000).figures(0)[""])


def test_before_controls_first_answer_there_is_no_series() -> None:
    """That is not an error: the answer comes before the next poll."""
    assert figures({}) == {}


def test_without_a_running_agent_there_is_no_ledger() -> None:
    """For example with --once."""
    with pytest.raises(NotImplementedError, match="a running agent"):
        figures(None)


def series_of(home: Path, *outputs: str) -> dict[tuple[str, str], object]:
    """Poll the family of an agent that delivered one poll to its first output, two to the second."""
    ledger = Ledger(1000)
    accounts = {name: OutputState(kept=9, delivered=n) for n, name in enumerate(outputs, 1)}
    ledger.update_account(SpoolState(kept=9, outputs=accounts))
    plan = Plan(Filters.of(config_in(home)), 1.0, ledger=ledger.figures(0))
    (source,) = sources(plan)
    sample = source.read()
    made = source.series(sample.shape, (("host", "h"),))
    assert all(("host", "h") in series.metadata for series in made)
    keys = [(series.key, dict(series.metadata).get("agent_output", "")) for series in made]
    return dict(zip(keys, sample.values, strict=True))


FIGURES = ("polled", "delivered", "waiting", "quarantined", "dropped", "missed", "lag")


def test_the_figures_of_one_output_are_those_of_the_agent(home: Path) -> None:
    """Keys, order and metadata are those of releases with one output, so charts go on."""
    found = series_of(home, "pattoo")
    assert list(found) == [(f"agent_{name}", "") for name in FIGURES]
    assert found["agent_delivered", ""] == 1


def test_each_of_several_outputs_has_its_own_figures(home: Path) -> None:
    """Named by metadata; polls made and ticks missed are those of the agent."""
    found = series_of(home, "pattoo", "metrics")
    assert (found["agent_polled", ""], found["agent_missed", ""]) == (9, 0)
    assert found["agent_delivered", "pattoo"] == 1
    assert found["agent_delivered", "metrics"] == 2
    assert ("agent_delivered", "") not in found
    assert len(found) == 2 + 2 * 5
