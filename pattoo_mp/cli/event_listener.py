"""`--event-listener`: supervisord's event listener, which restarts the agent when it hangs."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from setproctitle import setproctitle

from pattoo_mp.cli.output import DONE, FAILED
from pattoo_mp.config import isolated
from pattoo_mp.operate.event_listener import HeartbeatListener, ticks
from pattoo_mp.paths import config_directory
from pattoo_mp.program import this_program

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def run(_: argparse.Namespace) -> int:
    """`--event-listener`: watch the agent until supervisord ends.

    It logs to stderr only, which supervisord keeps: it may run as root, and must not create the
    agent's files as root.
    """
    if "SUPERVISOR_ENABLED" not in os.environ:
        print(f"{this_program().name}: error: --event-listener: not run by supervisord; expected in an "
              "[eventlistener] section, as in conf/", file=sys.stderr)  # fmt: skip
        return FAILED
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s %(levelname)s [heartbeat {os.getpid()}] %(message)s",
    )
    setproctitle(f"{this_program().name}: heartbeat")
    listener = HeartbeatListener(_directory, os.environ)
    for period_s in ticks(sys.stdin, sys.stdout):
        listener.tick(period_s)
    return DONE


def _directory() -> Path:
    """The agent's directory. Read at each tick, as a broken configuration may be repaired."""
    return isolated.read_system_daemon_directory(config_directory())
