"""The real agent under a real supervisord, with the configuration that the project ships."""

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
    """An agent with a supervisord of its own."""

    supervisor: Path = CONFIGURATION

    def supervisord(self) -> None:
        """Start supervisord; it detaches itself."""
        command: list[str | Path] = [BIN / "supervisord", "-c", self.supervisor]
        subprocess.run(command, env=self.env(), check=True, capture_output=True, timeout=30)
        # That is supervisord's word after some seconds; a busy host may not have come to the lock by then.
        wait_for(lambda: self.state() == "RUNNING" and self.pid, what="the agent")
        self.status()

    @contextlib.contextmanager
    def supervised(self) -> Iterator[Supervised]:
        """Under its supervisord for a while; nothing is left afterwards."""
        try:
            self.supervisord()
            yield self
        finally:
            self.ctl("shutdown")
            self.end()

    def ctl(self, *words: str) -> str:
        """What supervisorctl answers."""
        command: list[str | Path] = [BIN / "supervisorctl", "-c", self.supervisor, *words]
        done = subprocess.run(
            command, env=self.env(), capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def state(self) -> str:
        """Give supervisord's word for the agent's state."""
        words = self.ctl("status", NAME).split()
        return words[1] if len(words) > 1 else ""
