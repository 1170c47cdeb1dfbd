"""The counters of all processors, from `/proc/stat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect import host
from pattoo_mp.collect.families.processor import counters
from tests.support.hosts import polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcFS:
    """A simulated /proc."""
    return ProcFS(tmp_path, monkeypatch)


def test_they_are_those_that_psutil_gives(procfs: ProcFS) -> None:
    """From the same file, in less time."""
    procfs.processors(2)
    assert counters(host.proc("stat")) == psutil.cpu_stats()._asdict()


@pytest.mark.parametrize("damaged", ["", "ctxt many\n", "ctxt 12x\n"])
def test_a_counter_that_the_file_does_not_have_is_left_out_alone(
    procfs: ProcFS, damaged: str
) -> None:
    """With the reason."""
    procfs.write("stat", f"cpu  1 2 3 4 5 6 7 8 0 0\nintr 90 7\n{damaged}softirq 30 4\n")
    poll = polled("processor")
    assert poll.left_out["processor.counters ctx_switches"] == "/proc/stat has no number of ctxt"
    assert poll.figures["cpu_stats_interrupts"] == 90
    assert poll.figures["cpu_stats_soft_interrupts"] == 30
    assert "cpu_stats_ctx_switches" not in poll.figures
