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
    """Run until a signal asks for the end."""
    return be_control(arguments.ready_fd)


def be_control(ready_fd: int | None) -> int:
    """Be the control process until a signal asks for the end; say on `ready_fd` when polls flow."""
    # Asked to reload before there is anything to reload: that waits until there is.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    directory = config_directory()
    settings = isolated.load(directory)
    ready = (lambda: None) if ready_fd is None else _Ready(ready_fd).tell
    app.run(settings, partial(isolated.read_anew, directory), ready, to_stderr=ready_fd is None)
    return DONE


class _Ready:
    """Tells the `--start` that waits that polls flow, and lets go of its terminal.

    Workers, which are forks, let go at once: they have nothing to tell there.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        os.register_at_fork(after_in_child=self._let_go)

    def tell(self) -> None:
        """Tell it, once."""
        if self._descriptor is not None:
            # Who waited may be gone: ended by Ctrl-C, or with the connection that it came by.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._descriptor, READY)
        self._let_go()

    def _let_go(self) -> None:
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)
