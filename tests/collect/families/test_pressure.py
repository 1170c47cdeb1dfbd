"""Pressure, on several kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families.pressure import TABLES, parse
from pattoo_mp.collect.source import Fields
from pattoo_mp.model import COUNTER64, FLOAT
from tests.support.hosts import be, polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pattoo_mp.model import Value

QUIET = {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0}


def under(prefix: str, figures: Mapping[str, Value]) -> dict[str, Value]:
    """Return the figures with this prefix, by the rest of their keys."""
    return {
        key.removeprefix(prefix): value for key, value in figures.items() if key.startswith(prefix)
    }


def test_a_recent_kernel_reports_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four figures for `some` and four for `full`, for each of three resources."""
    be("virtual", monkeypatch)
    figures = polled("pressure").figures
    assert len(figures) == 24
    assert under("pressure_cpu_some_", figures) == {
        "avg10": 92.38, "avg60": 68.26, "avg300": 54.15, "total": 767909392,
    }  # fmt: skip
    assert under("pressure_cpu_full_", figures) == QUIET


def test_shares_are_floats_and_total_time_is_a_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server shows a counter as a rate."""
    be("virtual", monkeypatch)
    types = {s.key.rpartition("_")[2]: s.data_type for s in polled("pressure").series}
    assert types == {"avg10": FLOAT, "avg60": FLOAT, "avg300": FLOAT, "total": COUNTER64}


def test_a_kernel_without_a_full_line_for_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 5.13: what the kernel reports is sent, and nothing else."""
    be("laptop", monkeypatch)
    poll = polled("pressure")
    assert under("pressure_cpu_full_", poll.figures) == {}
    assert under("pressure_memory_full_", poll.figures) == QUIET
    assert poll.figures["pressure_io_some_total"] == 2**64 - 1
    assert poll.left_out == {}


def test_a_kernel_without_pressure_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a note for each resource that names the missing file."""
    be("old", monkeypatch)
    poll = polled("pressure")
    assert poll.series == {}
    assert list(poll.left_out) == ["pressure.cpu", "pressure.memory", "pressure.io"]
    assert "No such file" in poll.left_out["pressure.cpu"]
    assert "pressure/cpu" in poll.left_out["pressure.cpu"]


@pytest.mark.parametrize("name", ["avg10", "total"])
@pytest.mark.parametrize("bad", ["x", "nan", "inf", "-1", "1e3", "", "999.00"])
def test_a_bad_figure_costs_no_other(
    name: str, bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out with its reason. A share is no more than 100 %, and a time is a whole number."""
    procfs = ProcFS(tmp_path, monkeypatch)
    good = {"avg10": "1.00", "avg60": "2.00", "avg300": "3.00", "total": "4"}
    line = " ".join(f"{each}={number}" for each, number in (good | {name: bad}).items())
    (tmp_path / "pressure").mkdir()
    for resource in ("cpu", "memory", "io"):
        procfs.write(f"pressure/{resource}", f"some {line}\n")
    poll = polled("pressure")
    expected = {each: float(number) for each, number in good.items() if each != name}
    assert under("pressure_io_some_", poll.figures) == expected
    assert f"pressure.io some_{name}" in poll.left_out


def test_an_empty_file_has_no_figures() -> None:
    """The poller will leave the family out, with the reason."""
    with pytest.raises(NotImplementedError, match="none of these figures"):
        Fields(TABLES[0], lambda: parse("\n\n")).read()


def test_the_pressure_of_interrupts_is_a_family_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file has one line. Kernels without it note nothing in the family `pressure`."""
    be("server", monkeypatch)
    assert polled("pressure_irq").figures == {
        "pressure_irq_full_avg10": 0.12, "pressure_irq_full_avg60": 0.05,
        "pressure_irq_full_avg300": 0.01, "pressure_irq_full_total": 4711,
    }  # fmt: skip
    be("laptop", monkeypatch)
    assert list(polled("pressure_irq").left_out) == ["pressure_irq"]
