"""A /proc that hides processes: no figure of a part is sent as one of the whole host.

A program in a mount namespace of its own mounts /proc with an option, and then polls as root, as the
user nobody, or as a member of the exempt group.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import psutil
import pytest

from pattoo_mp.collect import host
from tests.support.agent import ROOT
from tests.support.hosts import again, be, polled
from tests.support.sources import sources_of

if TYPE_CHECKING:
    from pathlib import Path

from pattoo_mp.collect.families._processes import Process
from pattoo_mp.collect.families.top_processes import TopProcesses
from pattoo_mp.collect.poller import Poller
from tests.wire.posts import ORIGIN

COUNTING: Final = {"system.processes", "process_states", "top_processes"}
GROUP: Final = 4242
NOBODY: Final = 65534
_APART: Final = ("unshare", "--mount", "--propagation", "private")
#: Arguments: the mount options, the user and the group to become.
_PROGRAM: Final = """
import json, os, subprocess, sys
options, user, group = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
from tests.support.hosts import polled  # before the rights to read it may go
import pattoo_mp.collect.families.process_states, pattoo_mp.collect.families.top_processes
subprocess.run(["mount", "-t", "proc", "-o", options, "proc", "/proc"], check=True)
processes = sum(name.isdecimal() for name in os.listdir("/proc"))
if user:
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
poll = polled("system", "process_states", "top_processes")
print(json.dumps({"figures": poll.figures, "left_out": poll.left_out, "processes": processes}))
"""


def seen(options: str, user: int = 0, group: int = NOBODY) -> dict[str, Any]:
    """Return what a poll finds with /proc mounted like this, and how many processes root sees."""
    done = subprocess.run(
        [*_APART, sys.executable, "-c", _PROGRAM, options, str(user), str(group)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def possible() -> bool:
    """Whether this user may mount a /proc."""
    command = [*_APART, "mount", "-t", "proc", "proc", "/proc"]
    return (
        os.geteuid() == 0
        and shutil.which("unshare") is not None
        and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


mounting = pytest.mark.skipif(
    not possible(), reason="only root can mount a /proc, and not everywhere"
)


@mounting
@pytest.mark.parametrize("options", ["hidepid=2", f"hidepid=2,gid={GROUP}"])
def test_a_user_who_does_not_see_all_processes_counts_none(options: str) -> None:
    """The note says how to allow it; the load average does not need the processes."""
    found = seen(options, NOBODY)
    assert COUNTING & {name.partition(" ")[0] for name in found["left_out"]} == COUNTING
    assert all("CAP_SYS_PTRACE" in found["left_out"][name] for name in COUNTING)
    assert all("gid=" in found["left_out"][name] for name in COUNTING)
    assert set(found["figures"]) == {
        "load_average_01min", "load_average_05min", "load_average_15min"
    }  # fmt: skip


@mounting
def test_a_user_who_may_not_read_all_processes_can_count_them() -> None:
    """With hidepid=1 all are listed. What needs their files is left out."""
    found = seen("hidepid=1", NOBODY)
    assert set(found["left_out"]) == {"process_states", "top_processes"}
    assert "hidepid=1" in found["left_out"]["process_states"]
    assert found["figures"]["process_count"] == pytest.approx(found["processes"], abs=20)


@mounting
@pytest.mark.parametrize(
    ("options", "user", "group"),
    [
        ("hidepid=0", NOBODY, NOBODY),
        ("hidepid=2", 0, 0),
        ("hidepid=1", 0, 0),
        (f"hidepid=2,gid={GROUP}", NOBODY, GROUP),
        (f"hidepid=1,gid={GROUP}", NOBODY, GROUP),
    ],
)
def test_whoever_is_exempt_counts_all_processes(options: str, user: int, group: int) -> None:
    """Root, by its capability, and members of the group that gid= names."""
    found = seen(options, user, group)
    assert found["left_out"] == {}
    assert found["figures"]["process_count"] == pytest.approx(found["processes"], abs=20)
    states = {k: v for k, v in found["figures"].items() if k.startswith("process_states_")}
    del states["process_states_threads"]
    assert sum(states.values()) == pytest.approx(found["processes"], abs=20)


@mounting
def test_a_process_1_of_ones_own_hides_nothing_that_is_hidden() -> None:
    """In a container process 1 may be the agent's. Those of other users are hidden all the same."""
    inner = (
        "import subprocess, sys, os, json\n"
        "from tests.support.hosts import polled\n"
        "subprocess.run(['mount', '-t', 'proc', '-o', 'hidepid=2,gid=4242', 'proc', '/proc'], check=True)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "assert os.path.exists('/proc/1')\n"
        "print(json.dumps(polled('system').left_out))\n"
    )
    done = subprocess.run(
        [*_APART, "--pid", "--fork", "--kill-child", sys.executable, "-c", inner],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "hidepid=2" in json.loads(done.stdout)["system.processes"]


@pytest.mark.parametrize("family", ["system", "process_states", "top_processes"])
def test_a_proc_without_process_1_is_not_counted(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every host has one: if it is not shown, others may be hidden, too."""
    (tmp_path / "77").mkdir()
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path), raising=False)
    left_out = polled(family).left_out
    (name,) = COUNTING & set(left_out)
    assert "process 1" in left_out[name]


# One process that cannot be read.


def refuse(pid: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reading the file of one process fail."""
    proc = host.proc

    def refusing(name: str) -> str:
        if name == f"{pid}/stat":
            raise error
        return proc(name)

    monkeypatch.setattr(host, "proc", refusing)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(5, "I/O error"), ValueError("bad")]
)
def test_an_unreadable_process_hides_no_other(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both families send the rest, and note that one is missing."""
    be("laptop", monkeypatch)
    before = polled("process_states").figures
    refuse(410, error, monkeypatch)
    poll = polled("process_states")
    states = {key: value for key, value in poll.figures.items() if not key.endswith("threads")}
    assert sum(value or 0 for value in states.values()) == 11
    assert sum((before[key] or 0) - (value or 0) for key, value in states.items()) == 1
    assert list(poll.left_out) == ["process_states unreadable processes"]
    top = polled("top_processes")
    assert top.series
    assert list(top.left_out) == ["top_processes unreadable processes"]


def test_an_unreadable_first_process_means_that_others_are_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with hidepid=1 where its option is not seen."""
    be("laptop", monkeypatch)
    refuse(1, PermissionError(1, "Operation not permitted"), monkeypatch)
    for family in ("process_states", "top_processes"):
        poll = polled(family)
        assert poll.series == {}
        assert "CAP_SYS_PTRACE" in poll.left_out[family]


def test_unreadable_processes_are_no_program() -> None:
    """They have no name, no time and no memory."""
    found = [Process(7, 1, "sh", "S", 1, 9, 9), Process(8, 0, "", "", 0, 0, 0)]
    sample = TopProcesses(5, lambda: found).read()
    assert sample.shape == ("sh",)


def test_the_count_goes_on_when_processes_are_shown_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left out is asked for again in each poll."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path), raising=False)
    (tmp_path / "loadavg").write_text("0.50 0.25 0.10 1/100 12345\n")
    poller = Poller(sources_of("system"), ORIGIN, 1000)
    assert "system.processes" in again(poller).left_out
    (tmp_path / "1").mkdir()
    poll = again(poller)
    assert poll.left_out == {}
    assert poll.figures["process_count"] == 1
