"""`--reload`: other settings for an agent that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.status import plain
from pattoo_mp.cli.status.ask import not_running
from pattoo_mp.cli.statuses import DONE, STOPPED
from pattoo_mp.model import PROGRAM
from pattoo_mp.operate.agent import agent
from pattoo_mp.operate.lifecycle import reload

if TYPE_CHECKING:
    import argparse


def run(_: argparse.Namespace) -> int:
    """Have it read its configuration anew; return once it goes by that, or say why not.

    It is the agent that checks what it reads, so that its status and its log tell of it, too.
    """
    asked = agent()
    pid = asked.pid
    if pid is None:
        print(plain.report(not_running(asked)))
        return STOPPED
    changed = reload(asked, pid)
    print(f"Daemon is reloaded - {PROGRAM} ({', '.join(changed) or 'nothing has changed'})")
    return DONE
