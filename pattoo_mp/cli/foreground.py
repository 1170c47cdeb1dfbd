"""`--foreground`: be the control process, as supervisord, systemd and `--start` run it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pattoo_mp import config, wiring
from pattoo_mp.cli.statuses import DONE
from pattoo_mp.control.ready import READY

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal asks for the end."""
    settings = config.load(config.config_directory())
    ready_fd: int | None = arguments.ready_fd
    wiring.run(settings, _ready(ready_fd), to_stderr=ready_fd is None)
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
