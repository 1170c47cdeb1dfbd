"""The walk through supervisorctl in the documentation, walked."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from tests.support.agent import ROOT
from tests.support.supervised import BIN, Supervised
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "supervisord.md"


def steps() -> list[tuple[str, list[str]]]:
    """Each command of the page, with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(line: str) -> str:
    """A line of the page as a pattern: numbers and columns are of the day."""
    return re.sub(r"\d+", r"\\d+", re.sub(r"(\\ )+", r"\\s+", re.escape(line)))


def prints(agent: Supervised, command: str, lines: list[str]) -> str:
    """Run a command; what it printed, if that is what the page says, otherwise nothing."""
    done = subprocess.run(
        ["sh", "-c", command], env=agent.env(), cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    said = all(re.search(f"^{pattern(line)}$", done.stdout, re.MULTILINE) for line in lines)
    return f"$ {command}\n{done.stdout}" if said and done.returncode == 0 else ""


def test_every_command_of_the_page_does_what_the_page_says(home: Path) -> None:
    """From the start of supervisord to its end; `status` may need a moment to come true."""
    path = f"{BIN}:{ROOT / 'bin'}:{os.environ['PATH']}"
    agent = Supervised(home, environment={"PATH": path})
    commands = steps()
    assert len(commands) > 10
    try:
        for command, lines in commands:
            if "status" in command:
                wait_for(lambda: prints(agent, command, lines), what=command)  # noqa: B023 - called at once
            else:
                assert prints(agent, command, lines), command
        wait_for(lambda: not agent.processes(), what="the end of supervisord")
    finally:
        agent.ctl("shutdown")
        agent.end()
