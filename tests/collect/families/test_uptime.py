"""Uptime."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.support.hosts import polled


def test_the_host_runs_since_it_was_started() -> None:
    """As psutil tells when, and the kernel how long ago."""
    figures = polled("uptime").figures
    assert figures["uptime_boot_time"] == int(psutil.boot_time())
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert now == pytest.approx(figures["uptime_seconds"], abs=60)
