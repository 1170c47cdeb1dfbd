"""Run --once without a configuration, as another user, and beside a running agent."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.cli import main
from tests.support import shim
from tests.support.agent import SHIM
from tests.support.unprivileged import as_nobody
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer


def once(verb: str = "--once", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run --once with this environment only."""
    return subprocess.run(
        [sys.executable, str(SHIM), verb],
        env=environment, cwd="/", capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def output() -> str:
    """Return what --once prints, run in this process."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["--once"]) == 0
    return printed.getvalue()


def contents(directory: Path) -> list[str]:
    """Return the paths of everything below a directory."""
    return sorted(str(path) for path in directory.rglob("*"))


def test_it_needs_no_configuration_and_makes_no_file(home: Path) -> None:
    """Even the configuration directory may be missing."""
    done = once(PATTOO_CONFIGDIR=str(home / "none"), HOME=str(home), TMPDIR=str(home))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"memory_total" in done.stdout
    assert contents(home) == []


def test_a_running_agent_is_not_disturbed(
    make_agent: Callable[..., Agent], server: PattooServer
) -> None:
    """Its processes and files stay as they are, and only its own polls are posted."""
    agent = make_agent(port=server.port, interval=86400)
    agent.start()
    wait_for(lambda: agent.status()["polls"]["delivered"] == 1, what="the first poll's delivery")
    before = agent.processes(), contents(home := agent.home)
    assert agent.run("--once").returncode == agent.run("--once", "--json").returncode == 0
    assert (agent.processes(), contents(home)) == before
    status = agent.status()
    assert (status["polls"]["polled"], len(server.posts)) == (1, 1)
    assert [worker["restarts"] for worker in status["workers"].values()] == [0, 0]
    agent.stop()


@pytest.mark.parametrize("verb", ["--once", "onc"])
def test_a_mount_that_hangs_is_left_out(home: Path, verb: str) -> None:
    """Everything else is shown, and the command ends although one of its threads hangs."""
    mounts = [mount.mountpoint for mount in psutil.disk_partitions()]
    if not mounts:
        pytest.skip("this host shows no mount that could hang")
    done = once(verb, **shim.environment(home, shim.DEAD_MOUNT, "DEAD_MOUNT", Path(mounts[0])))
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"  {mounts[0]} left out: no answer within " in done.stdout.decode()
    assert b"network_io_bytes_sent" in done.stdout


def test_an_unprivileged_user_sees_all_values() -> None:
    """No value of an ordinary host needs root."""
    output()  # loads all modules: the user nobody may be unable to read this checkout
    printed = as_nobody(output)
    assert "network_io_bytes_sent" in printed
    assert "PermissionError" not in printed


def test_letters_that_the_terminal_lacks_are_escaped() -> None:
    """With an encoding other than UTF-8 nothing is lost, and nothing fails."""
    done = once(PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_a_reader_that_stops_early_causes_no_error() -> None:
    """As with `| head -1`."""
    command = f'"{sys.executable}" "{SHIM}" --once | head -1'
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"A poll of this host holds ")


def test_output_to_a_full_disk_is_reported_in_one_line() -> None:
    """The exit status is 1. The same holds for the file that another verb prints."""
    for verb in ("--once", "--translations"):
        with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
            done = subprocess.run(
                [sys.executable, str(SHIM), verb],
                stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "pattoo_agent_os_autonomousd: error: stdout: no space left on its device; "
            "expected room for the output"
        ]
