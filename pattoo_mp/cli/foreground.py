"""`--foreground`: be the control process, as supervisord, systemd and `--start` run it."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from pattoo_mp import config, wiring
from pattoo_mp.change import read_anew
from pattoo_mp.cli.statuses import DONE
from pattoo_mp.control.ready import READY

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal asks for the end."""
    # Asked to reload before there is anything to reload: that waits until there is.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    directory = config.config_directory()
    settings = config.load(directory)
    ready_fd: int | None = arguments.ready_fd
    wiring.run(
        settings, partial(read_anew, directory), _ready(ready_fd), to_stderr=ready_fd is None
    )
    return DONE


def _ready(descriptor: int | None) -> Callable[[], None]:
    """What to do once polls flow: tell the `--start` that waits, and let go of its terminal."""

    def tell() -> None:
        if descriptor is None:
            return
        os.write(descriptor, READY)
        os.close(descriptor)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)

    return tell
