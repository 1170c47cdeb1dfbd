"""The resource usage of a process."""

from __future__ import annotations

import os
import time

import psutil

from pattoo_mp.control.status import usage
from tests.support.waiting import wait_for

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def test_usage_agrees_with_psutil() -> None:
    """Of this process: memory within some megabytes, processor time within a tick."""
    before = psutil.Process().cpu_times()
    seen = usage(os.getpid())
    after = psutil.Process().cpu_times()
    assert before.user + before.system - _TICK_S < seen["cpu_s"]
    assert seen["cpu_s"] < after.user + after.system + _TICK_S
    assert abs(seen["memory_bytes"] - psutil.Process().memory_info().rss) < 4 << 20


def test_processor_time_grows() -> None:
    """Processor time grows with work."""
    before = usage(os.getpid())["cpu_s"]
    until = time.process_time() + 5
    wait_for(
        lambda: time.process_time() > until or usage(os.getpid())["cpu_s"] > before, what="work"
    )
    assert usage(os.getpid())["cpu_s"] > before


def test_a_missing_process_uses_nothing() -> None:
    """PID 0 stands for a worker without a process."""
    assert usage(0) == usage(2**22 + 1) == {"memory_bytes": 0, "cpu_s": 0.0}
