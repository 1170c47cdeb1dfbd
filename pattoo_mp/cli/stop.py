"""`--stop`: the end of an agent that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.status import plain
from pattoo_mp.cli.status.ask import not_running
from pattoo_mp.cli.statuses import DONE
from pattoo_mp.model import PROGRAM
from pattoo_mp.operate.agent import agent
from pattoo_mp.operate.lifecycle import stop

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Stop it, in order or by force."""
    asked = agent()
    if stop(asked, force=arguments.force):
        print(f"Daemon is stopped - {PROGRAM}")
    else:
        print(plain.report(not_running(asked)))
    return DONE
