"""`--event-listener`: restart the agent when it hangs, as supervisord's event listener."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from setproctitle import setproctitle

from pattoo_mp.cli.output import DONE, FAILED
from pattoo_mp.config import isolated
from pattoo_mp.model import PROGRAM
from pattoo_mp.operate.event_listener import HeartbeatListener, ticks
from pattoo_mp.paths import config_directory

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def run(_: argparse.Namespace) -> int:
    """Look after the agent until supervisord ends.

    It logs to stderr alone, for supervisord to keep: as root, it must not make the agent's files.
    """
    if "SUPERVISOR_ENABLED" not in os.environ:
        print(f"{PROGRAM}: error: --event-listener is for supervisord alone; expected in an "
              "[eventlistener] section, as conf/ has it", file=sys.stderr)  # fmt: skip
        return FAILED
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s %(levelname)s [heartbeat {os.getpid()}] %(message)s",
    )
    setproctitle(f"{PROGRAM}: heartbeat")
    listener = HeartbeatListener(_directory, os.environ)
    for period_s in ticks(sys.stdin, sys.stdout):
        listener.tick(period_s)
    return DONE


def _directory() -> Path:
    """Where the agent is to be found: read at each tick, for it may be broken now and mended later."""
    return isolated.find(config_directory())
