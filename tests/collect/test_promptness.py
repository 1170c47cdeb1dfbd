"""Short turns are asked for; nothing else of how a process is scheduled changes."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Prints how it is scheduled after it has asked.
PROGRAM = """
import os
from pattoo_mp.collect.collector import request_short_slice
BEFORE
asked = request_short_slice()
print(asked, os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
"""


def scheduled(before: str) -> tuple[bool, int, int]:
    """Whether short turns could be asked for, and the policy and the nice value after that."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("BEFORE", before)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    asked, policy, nice = done.stdout.split()
    return asked == "True", int(policy), int(nice)


@pytest.mark.parametrize("nice", [0, 5])
def test_policy_and_nice_value_stay(nice: int) -> None:
    """It is no question of priority."""
    _, _, own = scheduled("pass")
    _, policy, after = scheduled(f"os.nice({nice})")
    assert (policy, after) == (0, own + nice)


def test_another_policy_is_left_alone() -> None:
    """Somebody chose it."""
    before = "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"
    assert scheduled(before)[:2] == (False, 3)
