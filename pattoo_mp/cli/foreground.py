"""`--foreground`: be the control process, as supervisord, systemd and `--start` run it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp import app
from pattoo_mp.cli.output import DONE
from pattoo_mp.config import isolated
from pattoo_mp.errors import PattooError
from pattoo_mp.ipc.messages import READY
from pattoo_mp.paths import config_directory
from pattoo_mp.util import users
from pattoo_mp.util.users import user_name

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
    if os.geteuid() == 0:
        _become_owner(directory)
    settings = isolated.load(directory)
    ready = (lambda: None) if ready_fd is None else _Ready(ready_fd).report
    app.run(settings, partial(isolated.begin_reload, directory), ready, to_stderr=ready_fd is None)
    return DONE


def _become_owner(directory: Path) -> None:
    """As root, run this program again as the owner of the agent's directories; return if root is that.

    Files of root's there would keep the agent's user from starting it later. The program is executed
    again because a process that changes its user may not look at itself in /proc, and because
    that user may not be able to run the program. Raises `PattooError`.
    """
    owner = isolated.find_owner(directory)
    if owner is None:
        return
    name = user_name(owner[0])
    try:
        users.become(owner[0], users.groups_of(*owner))
    except OSError as error:
        raise PattooError(
            f"cannot become {name}, the owner of the agent's directories ({error.strerror}); "
            f"expected to be started as {name}"
        ) from error
    readable = all(os.access(path, os.R_OK) for path in (sys.executable, __file__))
    with contextlib.suppress(OSError):
        if readable:
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    raise PattooError(
        f"{sys.executable}: {name}, the owner of the agent's directories, cannot run it or read "
        f"{Path(__file__).parent}; expected an environment such as /opt/pattoo_mp"
    )


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
