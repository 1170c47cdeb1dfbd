"""Run the commands of the documentation page "supervisord"."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.support.agent import ROOT
from tests.support.supervised import BIN, Supervised
from tests.support.waiting import wait_for
from tests.support.walk import is_said, steps

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "supervisord.md"


def prints(agent: Supervised, command: str, lines: list[str]) -> str:
    """Run a command. Return its output if that is what the page shows, otherwise nothing."""
    done = subprocess.run(
        ["sh", "-c", command], env=agent.env(), cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    is_right = done.returncode == 0 and is_said(done.stdout, lines)
    return f"$ {command}\n{done.stdout}" if is_right else ""


def test_the_commands_of_the_page_work_as_shown(home: Path) -> None:
    """From the start of supervisord to its end. `status` may need a moment."""
    path = f"{BIN}:{ROOT / 'bin'}:{os.environ['PATH']}"
    agent = Supervised(home, environment={"PATH": path})
    commands = steps(PAGE)
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
