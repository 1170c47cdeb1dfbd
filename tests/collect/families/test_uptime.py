"""How long the host has been running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect.families.uptime import BootTime
from pattoo_mp.collect.poller import Poller
from tests.support.hosts import again, polled
from tests.support.procfs import ProcFS
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path


def test_uptime_and_boot_time_are_those_of_the_kernel() -> None:
    """The boot time is psutil's; the uptime includes time in suspend."""
    figures = polled("uptime").figures
    assert figures["uptime_boot_time"] == int(psutil.boot_time())
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert now == pytest.approx(figures["uptime_seconds"], abs=60)


def test_a_containers_uptime_comes_with_its_boot_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lxcfs gives /proc/uptime of the container, and /proc/stat with the host's boot time."""
    procfs = ProcFS(tmp_path, monkeypatch)
    host_booted = int(time.time()) - 4139
    procfs.write("stat", f"cpu 1 2 3 4\nbtime {host_booted}\n")
    procfs.write("uptime", "600.13 1100.20\n")
    figures = polled("uptime").figures
    assert figures["uptime_seconds"] == 600
    assert figures["uptime_boot_time"] == pytest.approx(time.time() - 600, abs=60)


def test_the_boot_time_does_not_vary() -> None:
    """By rounding, or by a few milliseconds between two readings. A clock that is set changes it."""
    boot_time = BootTime()
    first = boot_time.at(600.0, 1_000_600.4)
    assert first == 1_000_000
    assert boot_time.at(601.0, 1_000_601.6) == first
    assert boot_time.at(602.0, 1_000_602.51) == first
    assert boot_time.at(603.0, 2_000_603.0) == 2_000_000


@pytest.mark.parametrize("content", [None, "", "x", "nan 1", "-3.0 1", "1e300 1", "inf 1"])
def test_a_host_without_an_uptime_is_noted(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's own is not taken instead: it may be another host's."""
    procfs = ProcFS(tmp_path, monkeypatch)
    if content is not None:
        procfs.write("uptime", content)
    poll = again(Poller(sources_of("uptime"), ORIGIN, 1000))
    assert (poll.figures, list(poll.left_out)) == ({}, ["uptime"])
