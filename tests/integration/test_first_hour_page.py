"""The first hour of the documentation, walked by somebody without a home yet."""

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
#: How the page installs; the test has done so.
INSTALLS = ("python3 -m venv", "~/agent/bin/pip")
_END = "THE END"
#: What only looks, and may be asked again until it comes true.
LOOKS = ("--status", "--show", "--check", "--doctor")


class Shell:
    """A person's shell: what a command exports or starts in the background is there for the next."""

    def __init__(self, home: Path) -> None:
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        # As the page will set it: what goes wrong before that must not touch a real agent.
        environment["PATTOO_CONFIGDIR"] = str(home / "etc")
        self._bash = subprocess.Popen(
            ["bash", "--norc"], env=environment, cwd=home, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, command: str) -> tuple[int, str]:
        """The exit status of a command, and what it prints."""
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
        """End it, and what it has in the background."""
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"kill $(jobs -p); {NAME} --stop --force\n")
        self._bash.stdin.close()
        self._bash.wait(timeout=30)
        assert self._bash.stdout is not None
        self._bash.stdout.close()


@pytest.fixture
def shell(home: Path) -> Iterator[Shell]:
    """A shell in an empty home, where the program is installed already."""
    (home / "agent").mkdir()
    (home / "agent" / "bin").symlink_to(Path(sys.executable).parent)
    made = Shell(home)
    yield made
    made.end()


def test_every_command_of_the_first_hour_does_what_the_page_says(shell: Shell, home: Path) -> None:
    """In the order of the page, with a port and a home of the test's own."""
    port = str(free_port())
    walked = [step for step in steps(PAGE) if not step[0].startswith(INSTALLS)]
    assert len(walked) > 15
    for command, shown in walked:
        here = command.replace("20201", port)
        lines = [
            line.replace("/home/ann", str(home)).replace("myhost", socket.getfqdn())
            for line in shown
        ]
        if any(look in command for look in LOOKS):
            wait_for(lambda: is_said(shell.run(here)[1], lines), 40, what=f"{here}: {lines}")  # noqa: B023 - called at once
        else:
            status, output = shell.run(here)
            assert status == 0, output
            assert is_said(output, lines), output
    assert not (home / "etc").exists()
