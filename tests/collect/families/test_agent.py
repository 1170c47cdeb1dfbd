"""The family that reports the agent's own ledger."""

from __future__ import annotations

import pytest

from pattoo_mp.collect.families.agent import TABLES, figures
from pattoo_mp.control.ledger import Ledger


def test_each_figure_of_the_ledger_has_a_metric() -> None:
    """Control and the family use the same names."""
    (table,) = TABLES
    assert [metric.name for metric in table.metrics] == list(Ledger(1000).figures(0))


def test_before_controls_first_answer_there_is_no_series() -> None:
    """That is not an error: the answer comes before the next poll."""
    assert figures({}) == {}


def test_without_a_running_agent_there_is_no_ledger() -> None:
    """For example with --once."""
    with pytest.raises(NotImplementedError, match="a running agent"):
        figures(None)
