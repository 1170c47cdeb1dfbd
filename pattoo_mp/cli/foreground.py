"""`--foreground`: be the control process, as supervisord, systemd and `--start` run it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from pattoo_mp import app
from pattoo_mp.cli.output import DONE
from pattoo_mp.config import isolated
from pattoo_mp.ipc.messages import READY
from pattoo_mp.paths import config_directory

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """`--foreground`: run the agent until a signal stops it."""
    return run_control(arguments.ready_fd)


def run_control(ready_fd: int | None) -> int:
    """Be the control process until a signal stops it; write READY to `ready_fd` once polls flow."""
    # A reload asked for during the start waits until the agent can reload.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    directory = config_directory()
    settings = isolated.load(directory)
    ready = (lambda: None) if ready_fd is None else _Ready(ready_fd).report
    app.run(settings, partial(isolated.begin_reload, directory), ready, to_stderr=ready_fd is None)
    return DONE


class _Ready:
    """Reports to the waiting `--start` that polls flow, and then detaches from its stderr.

    Workers are forks and have nothing to report, so they detach at once.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        os.register_at_fork(after_in_child=self._detach)

    def report(self) -> None:
        """Write READY, the first time; then detach."""
        if self._descriptor is not None:
            # The waiting `--start` may have ended, by Ctrl-C or with its ssh connection.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._descriptor, READY)
        self._detach()

    def _detach(self) -> None:
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stderr.fileno())
        os.close(devnull)
