"""The real agent under a real supervisord, with the shipped configuration."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.agent import NAME, ROOT, Agent
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
CONFIGURATION = ROOT / "conf" / "supervisord.conf"


@dataclass
class Supervised(Agent):
    """An agent with its own supervisord."""

    supervisor: Path = CONFIGURATION

    def supervisord(self) -> None:
        """Start supervisord, which detaches itself."""
        command: list[str | Path] = [BIN / "supervisord", "-c", self.supervisor]
        subprocess.run(command, env=self.env(), check=True, capture_output=True, timeout=30)
        # supervisord reports RUNNING after some seconds; on a busy host the agent may not have its lock yet.
        wait_for(lambda: self.state() == "RUNNING" and self.pid, what="the agent")
        self.status()

    @contextlib.contextmanager
    def supervised(self) -> Iterator[Supervised]:
        """Run supervisord and the agent during the block; end both afterwards."""
        try:
            self.supervisord()
            yield self
        finally:
            self.ctl("shutdown")
            self.end()

    def ctl(self, *words: str) -> str:
        """Run supervisorctl and return its output."""
        command: list[str | Path] = [BIN / "supervisorctl", "-c", self.supervisor, *words]
        done = subprocess.run(
            command, env=self.env(), capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def state(self) -> str:
        """Return the agent's state as supervisord names it."""
        words = self.ctl("status", NAME).split()
        return words[1] if len(words) > 1 else ""
