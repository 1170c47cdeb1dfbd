"""Run the commands of the documentation page "first hour" in an empty home directory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import NAME, ROOT
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.support.walk import is_said, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "first-hour.md"
#: The page's installation commands, which the fixture replaces.
INSTALLS = ("python3 -m venv", "~/agent/bin/pip")
_END = "THE END"
#: Commands that only report, and may be repeated until the output is as shown.
REPORTS = ("--status", "--show", "--check", "--doctor")


class Shell:
    """A shell: exported variables and background jobs stay for the next command."""

    def __init__(self, home: Path) -> None:
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        # The page sets it later. Before that, nothing may touch a real agent.
        environment["PATTOO_CONFIGDIR"] = str(home / "etc")
        self._bash = subprocess.Popen(
            ["bash", "--norc"], env=environment, cwd=home, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, command: str) -> tuple[int, str]:
        """Run a command. Return its exit status and output."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{command}\nstatus=$?; echo; echo {_END} $status\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            if line.startswith(_END):
                return int(line.removeprefix(_END)), output
            output += line
        raise AssertionError(f"the shell ended: {output}")

    def end(self) -> None:
        """End the shell and its background jobs."""
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"kill $(jobs -p); {NAME} --stop --force\n")
        self._bash.stdin.close()
        self._bash.wait(timeout=30)
        assert self._bash.stdout is not None
        self._bash.stdout.close()


@pytest.fixture
def shell(home: Path) -> Iterator[Shell]:
    """A shell in an empty home directory with the program installed."""
    (home / "agent").mkdir()
    (home / "agent" / "bin").symlink_to(Path(sys.executable).parent)
    made = Shell(home)
    yield made
    made.end()


def test_the_commands_of_the_page_work_as_shown(shell: Shell, home: Path) -> None:
    """They run in the order of the page, with a free port and a temporary home."""
    port = str(free_port())
    commands = [step for step in steps(PAGE) if not step[0].startswith(INSTALLS)]
    assert len(commands) > 15
    for command, shown in commands:
        here = command.replace("20201", port)
        lines = [
            line.replace("/home/ann", str(home)).replace("myhost", socket.getfqdn())
            for line in shown
        ]
        if any(verb in command for verb in REPORTS):
            wait_for(lambda: is_said(shell.run(here)[1], lines), 40, what=f"{here}: {lines}")  # noqa: B023 - called at once
        else:
            status, output = shell.run(here)
            assert status == 0, output
            assert is_said(output, lines), output
    assert not (home / "etc").exists()
