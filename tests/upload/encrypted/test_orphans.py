"""Processes that their starter leaves behind, each time in an interpreter without other children."""

from __future__ import annotations

import subprocess
import sys

#: Begins a `sleep` that outlives who began it; its number, and who its parent is (0: it is gone).
LEAVING = """
import os, subprocess, time
from pathlib import Path
from pattoo_mp.util.process import taken_in

def leave():
    command = ["sh", "-c", "sleep 0.2 >/dev/null & echo $!"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)

def parent_of(pid):
    stat = Path(f"/proc/{pid}/stat")
    return int(stat.read_text().rpartition(")")[2].split()[1]) if stat.exists() else 0
"""


def says(program: str) -> str:
    """What it prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVING + program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_an_orphan_is_taken_in_and_waited_for() -> None:
    """Nothing stays of it among the processes, whoever the first process is."""
    program = """
with taken_in("sleep"):
    pid = leave()
    assert parent_of(pid) == os.getpid()
until = time.monotonic() + 20
while parent_of(pid) and time.monotonic() < until:
    with taken_in("sleep"):
        time.sleep(0.01)
print(parent_of(pid))
"""
    assert says(program) == "0"


def test_an_orphan_of_later_is_not_ours() -> None:
    """It goes where it would have gone."""
    program = """
with taken_in("sleep"):
    pass
print(parent_of(leave()) != os.getpid())
"""
    assert says(program) == "True"


def test_a_child_that_somebody_waits_for_is_left_to_them() -> None:
    """They get its exit status."""
    program = """
child = subprocess.Popen(["sh", "-c", "exit 3"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
with taken_in("sleep"):
    pass
print(child.wait())
"""
    assert says(program) == "3"
