"""The times and frequency of each processor."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.model import COUNTER64
from tests.support.hosts import polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path

Frequency = namedtuple("Frequency", "current min max")


@pytest.mark.parametrize("processors", [1, 2, 256])
def test_each_processor_has_its_times(
    processors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A counter in seconds for each way that its time is spent."""
    ProcFS(tmp_path / "proc", monkeypatch).processors(processors)
    monkeypatch.setattr(psutil, "cpu_freq", lambda **_: [])
    poll = polled("per_processor")
    numbers = poll.by("per_processor_number")
    assert list(numbers) == [str(number) for number in range(processors)]
    assert numbers["0"]["per_processor_times_user"] == 174.8
    assert len(poll.series) == 10 * processors
    assert {series.data_type for series in poll.series} == {COUNTER64}
    assert poll.left_out == {
        "per_processor.frequency": "NotImplementedError: the kernel reports no processor frequency"
    }


def test_each_clock_has_its_frequency(monkeypatch: pytest.MonkeyPatch) -> None:
    """The current one, in MHz."""
    clocks = [Frequency(800.5, 800, 4000), Frequency(3900.0, 800, 4000)]
    monkeypatch.setattr(psutil, "cpu_freq", lambda *, percpu: clocks if percpu else None)
    poll = polled("per_processor")
    found = {s.metadata[-1]: v for s, v in poll.series.items() if s.key.endswith("frequency")}
    assert found == {("per_processor_clock", "0"): 800.5, ("per_processor_clock", "1"): 3900.0}
