"""How long the host has been running."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.support.hosts import polled


def test_uptime_and_boot_time_are_those_of_the_kernel() -> None:
    """The boot time is psutil's; the uptime includes time in suspend."""
    figures = polled("uptime").figures
    assert figures["uptime_boot_time"] == int(psutil.boot_time())
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert now == pytest.approx(figures["uptime_seconds"], abs=60)
