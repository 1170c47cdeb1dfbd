"""`--status`: what the agent does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli import report
from pattoo_mp.cli.running import agent
from pattoo_mp.cli.statuses import DONE, STOPPED
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    import argparse


def run(_: argparse.Namespace) -> int:
    """Ask the agent and print what it says."""
    asked = agent()
    pid = asked.pid
    if pid is None:
        print(f"Daemon is stopped - {PROGRAM}")
        return STOPPED
    try:
        lines = report.lines(asked.status())
    except OSError as error:
        lines = [f"  Control        process {pid} does not answer ({error.strerror or error})"]
    print("\n".join([f"Daemon is running - {PROGRAM}", *lines]))
    return DONE
