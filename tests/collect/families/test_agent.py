"""The agent's own ledger, as control tells it."""

from __future__ import annotations

import pytest

from pattoo_mp.collect.families.agent import TABLES, figures
from pattoo_mp.control.ledger import Ledger


def test_each_figure_of_the_ledger_has_its_line() -> None:
    """Control and the family go by the same names."""
    (table,) = TABLES
    assert [metric.name for metric in table.metrics] == list(Ledger(1000).figures(0))


def test_what_control_has_not_told_yet_is_no_series() -> None:
    """And no trouble: it comes with the next poll."""
    assert figures({}) == {}


def test_where_no_agent_runs_there_is_no_ledger() -> None:
    """Such as where a person looks at the host."""
    with pytest.raises(NotImplementedError, match="an agent that runs"):
        figures(None)
