"""Pressure, of several kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families.pressure import parse
from pattoo_mp.model import COUNTER64, FLOAT
from tests.support.hosts import be, polled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.model import Value

QUIET = {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0}


def under(prefix: str, figures: Mapping[str, Value]) -> dict[str, Value]:
    """The figures that begin so, by what follows."""
    return {
        key.removeprefix(prefix): value for key, value in figures.items() if key.startswith(prefix)
    }


def test_a_kernel_of_today_tells_who_waits_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four figures of some and of full, for each of three resources."""
    be("virtual", monkeypatch)
    figures = polled("pressure").figures
    assert len(figures) == 24
    assert under("pressure_cpu_some_", figures) == {
        "avg10": 92.38, "avg60": 68.26, "avg300": 54.15, "total": 767909392,
    }  # fmt: skip
    assert under("pressure_cpu_full_", figures) == QUIET


def test_shares_are_percent_and_time_is_a_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server shows a total as what it grew by."""
    be("virtual", monkeypatch)
    types = {s.key.rpartition("_")[2]: s.data_type for s in polled("pressure").series}
    assert types == {"avg10": FLOAT, "avg60": FLOAT, "avg300": FLOAT, "total": COUNTER64}


def test_a_kernel_without_a_full_line_for_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those before 5.13: what they tell is sent, and nothing is made up."""
    be("laptop", monkeypatch)
    told = polled("pressure")
    assert under("pressure_cpu_full_", told.figures) == {}
    assert under("pressure_memory_full_", told.figures) == QUIET
    assert told.figures["pressure_io_some_total"] == 2**64 - 1
    assert told.left_out == {}


def test_a_kernel_that_knows_no_pressure_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each resource, with the file that is not there."""
    be("old", monkeypatch)
    told = polled("pressure")
    assert told.series == {}
    assert list(told.left_out) == ["pressure.cpu", "pressure.memory", "pressure.io"]
    assert "No such file" in told.left_out["pressure.cpu"]
    assert "pressure/cpu" in told.left_out["pressure.cpu"]


@pytest.mark.parametrize("text", ["some avg10=x total=1", "some total=1.5", "\n\n", "some avg10"])
def test_what_is_no_pressure_is_refused(text: str) -> None:
    """The family is left out, and the log says why."""
    with pytest.raises(ValueError, match=r"convert|invalid|unpack|not enough"):
        parse(text)
