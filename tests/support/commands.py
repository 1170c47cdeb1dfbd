"""Run other programs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    """Run a command that must succeed. Return what it printed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False,
        env=environment, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
