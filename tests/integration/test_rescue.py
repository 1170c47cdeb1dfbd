"""A recovery of the spool that takes longer than a worker may be silent."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control.arbiter import Arbiter
from pattoo_mp.model import Poll
from pattoo_mp.upload.report import Progress
from tests.control.test_arbiter import INTERVAL_MS, Control, keeping, polled, polling
from tests.spool.polls import LAYOUT, LAYOUTS
from tests.support.spools import AMPLE, open_spool
from tests.support.unprivileged import NOBODY
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.ipc.link import Link

POLLS = 2000
SILENCE_S = 2.0
STEP_S = 0.5


@pytest.fixture
def path(home: Path) -> Path:
    """A damaged spool of more than 8 MB."""
    path = home / "spool" / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    polls = [(n, Poll(LAYOUT.identifier, n, os.urandom(4000))) for n in range(1, POLLS + 1)]
    spool.append(polls, LAYOUTS, "c")
    spool.close()
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM facts")
    return path


@contextlib.contextmanager
def agent(home: Path, path: Path) -> Iterator[Control]:
    """An agent whose uploader opens the spool on a disk that takes half a second for each megabyte."""

    def uploading(link: Link) -> None:
        progress = Progress(link, 0.0)

        def slowly() -> None:
            time.sleep(STEP_S)
            progress()

        open_spool(path, AMPLE, progress=slowly)
        keeping(link)

    started = Control(home, polling, uploading, SILENCE_S, Arbiter)
    try:
        yield started
    finally:
        os.kill(started.pid, signal.SIGKILL)
        os.waitpid(started.pid, 0)


def test_the_uploader_is_not_replaced_during_a_long_recovery(home: Path, path: Path) -> None:
    """Polls wait, and the first uploader finishes the recovery."""
    if os.geteuid() == 0:  # then the uploader is the user nobody
        for file in (path.parent, *path.parent.iterdir()):
            os.chown(file, NOBODY, NOBODY)
    with agent(home, path) as control:
        wait_for(lambda: list(path.parent.glob("*.damaged-*")), 60, "the end of the rescue")
        assert polled(control) * INTERVAL_MS > 1000 * SILENCE_S
        wait_for(lambda: control.status()["polls"]["in_channel"] < 5, what="polls that are kept")
        assert control.worker("uploader")["restarts"] == 0
