"""Run `make run` and `make stop` in a copy of the checkout, as a newcomer does."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import ROOT, processes_of
from tests.support.ports import free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = ("pattoo_mp", "bin", "conf", "tools", "Makefile", "setup.py", "pyproject.toml")


@pytest.fixture
def checkout(home: Path) -> Iterator[Path]:
    """A copy of the checkout with our environment, so that nothing is installed."""
    home = home / "a name with spaces"
    home.mkdir()
    for part in PARTS:
        source, target = ROOT / part, home / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    (home / ".venv").symlink_to(Path(sys.prefix))
    yield home
    make(home, "stop")
    wait_for(lambda: not processes_of(home / ".run"), what="the end of all processes")


_OF_MAKE = frozenset({"MAKEFLAGS", "MFLAGS", "MAKELEVEL"})


def make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `make`. The environment counts as installed."""
    command = ["make", "--old-file", ".venv/.installed", "--assume-old", "setup.py", *words]
    # What a `make` around the tests leaves there would be this one's, too.
    environment = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
    return subprocess.run(
        command,
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_make_run_shows_datapoints_and_commands_that_work(checkout: Path) -> None:
    """Real metrics arrive, and a few of them are printed."""
    port = free_port()
    done = make(checkout, "run", f"PORT={port}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"http://127.0.0.1:{port}/" in done.stdout
    assert re.search(r"cpu_stats_ctx_switches +\d+", done.stdout)
    for line in done.stdout.splitlines():
        word, _, command = line.partition(" ")
        if word in {"status", "received", "processes"}:
            tried = subprocess.run(
                ["sh", "-c", command], cwd=checkout, capture_output=True, timeout=30, check=False
            )
            assert tried.returncode == 0, line
    again = make(checkout, "run", f"PORT={port}")
    assert again.returncode != 0
    assert "it is running already; use 'make stop' to stop it" in again.stderr
    assert make(checkout, "stop").returncode == 0
    assert processes_of(checkout / ".run") == []


def test_make_stop_ends_the_processes_of_a_killed_supervisord(checkout: Path) -> None:
    """They are the agent and the receiver. Until then `make run` reports that they run."""
    port = free_port()
    assert make(checkout, "run", f"PORT={port}").returncode == 0
    supervisord = int((checkout / ".run" / "etc" / "supervisord.pid").read_text())
    process = os.pidfd_open(supervisord)
    os.kill(supervisord, signal.SIGKILL)
    select.select([process], [], [], 10)
    os.close(process)
    again = make(checkout, "run", f"PORT={port}")
    assert again.returncode != 0
    message = (
        r"the agent \(process \d+\) and the receiver \(process \d+\) run still, without supervisord"
    )
    assert re.search(f"{message}; use 'make stop' to stop", again.stderr)
    done = make(checkout, "stop")
    assert (done.returncode, "Stopped." in done.stdout) == (0, True), done.stderr
    wait_for(lambda: not processes_of(checkout / ".run"), what="the end of all processes")
    assert "It is not running." in make(checkout, "stop").stdout


@pytest.mark.parametrize("port", ["0", "70000", "-5", "http"])
def test_an_invalid_port_is_refused(checkout: Path, port: str) -> None:
    """The error says what was expected."""
    done = make(checkout, "run", f"PORT={port}")
    assert done.returncode != 0
    assert f"PORT={port}; expected a whole number from 1 to 65535" in done.stderr


def test_a_busy_port_is_named(checkout: Path) -> None:
    """One line names the port, and the command for another one."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = make(checkout, "run", f"PORT={port}")
    assert done.returncode != 0
    assert f"port {port} of 127.0.0.1 is in use; choose another: make run PORT=" in done.stderr
    assert processes_of(checkout / ".run") == []


def test_a_port_that_is_roots_gets_an_advice_that_works(checkout: Path) -> None:
    """Not port 180, which is root's, too."""
    with socket.socket() as busy:
        # An ordinary user cannot use the port in any case.
        with contextlib.suppress(PermissionError):
            busy.bind(("127.0.0.1", 80))
        done = make(checkout, "run", "PORT=80")
    advised = int(done.stderr.partition("make run PORT=")[2].split()[0])
    assert advised > 1023
    with socket.socket() as another:
        another.bind(("127.0.0.1", advised))


def test_make_alone_lists_every_target_and_starts_nothing(checkout: Path) -> None:
    """Also without an environment."""
    (checkout / ".venv").unlink()
    done = make(checkout)
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    text = (checkout / "Makefile").read_text()
    assert listed == set(text.partition(".PHONY: ")[2].partition("\n")[0].split())
    assert not (checkout / ".run").exists()
    assert not (checkout / ".venv").exists()


def test_make_run_installs_only_what_running_needs(checkout: Path) -> None:
    """Its packages are those of the agent and the receiver, not those of the tests."""
    (checkout / ".venv").unlink()
    command = ["make", "--dry-run", "run"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    (install,) = [line for line in done.stdout.splitlines() if "pip install" in line]
    assert install.endswith("--editable '.[receiver]'")
    assert "--quiet" not in install
