"""The lines about dropped polls."""

from __future__ import annotations

import pytest

from pattoo_mp.control.drops import DropLog

HOUR_S = 3600


class Rig:
    """A log of drops, on a clock that moves only on request."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 0.0
        self.log = DropLog(lambda: self.now)
        self._caplog = caplog

    def drop(self, after_s: float, **totals: int) -> list[str]:
        """Note totals after a time; return the new lines."""
        self.now += after_s
        self._caplog.clear()
        self.log.note({(reason, ""): n for reason, n in totals.items()})
        assert {record.levelname for record in self._caplog.records} <= {"ERROR"}
        return [record.getMessage() for record in self._caplog.records]


@pytest.fixture
def rig(caplog: pytest.LogCaptureFixture) -> Rig:
    """A log without lines."""
    return Rig(caplog)


def test_a_run_of_drops_has_a_line_at_once_and_each_hour(rig: Rig) -> None:
    """The lines together have the number of all drops."""
    assert rig.drop(0, full=2) == ["2 polls dropped: full."]
    assert rig.drop(60, full=5) == []
    assert rig.drop(HOUR_S - 60, full=9) == ["7 polls dropped within an hour: full."]
    assert rig.drop(HOUR_S, full=10) == ["1 poll dropped within an hour: full."]


def test_drops_after_an_hour_without_any_begin_a_new_run(rig: Rig) -> None:
    """Their line comes at once."""
    rig.drop(0, full=2)
    assert rig.drop(HOUR_S, full=2) == []
    assert rig.drop(1, full=3) == ["1 poll dropped: full."]


def test_the_rest_of_a_run_is_logged_after_it_has_ended(rig: Rig) -> None:
    """Nothing is dropped any more, but the last line did not have all."""
    rig.drop(0, full=2)
    rig.drop(60, full=5)
    assert rig.drop(HOUR_S, full=5) == ["3 polls dropped within an hour: full."]


def test_each_reason_has_its_own_run(rig: Rig) -> None:
    """Also if they begin in the same hour."""
    assert rig.drop(0, full=2) == ["2 polls dropped: full."]
    assert rig.drop(60, full=3, old=1) == ["1 poll dropped: old."]


def test_polls_that_turn_out_to_be_delivered_are_not_counted_again(rig: Rig) -> None:
    """The total shrinks, and later drops are still noticed."""
    rig.drop(0, damaged=5)
    assert rig.drop(HOUR_S, damaged=1) == []
    assert rig.drop(HOUR_S, damaged=2) == ["1 poll dropped: damaged."]


def test_a_line_names_the_output_only_if_there_are_several(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An output that is added begins no new run for the drops of the other."""
    drops = DropLog()
    drops.note({("full", "pattoo"): 2})
    drops.note({("full", "pattoo"): 2, ("full", "metrics"): 1, ("channel", ""): 1}, several=True)
    drops.finish({("full", "pattoo"): 3, ("full", "metrics"): 1, ("channel", ""): 1}, several=True)
    assert [record.getMessage() for record in caplog.records] == [
        "2 polls dropped: full.",
        "1 poll dropped: full (output metrics).",
        "1 poll dropped: channel.",
        "1 poll dropped since the last such line: full (output pattoo).",
    ]
