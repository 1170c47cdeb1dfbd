"""Any file of the kernel may hang for good, in a read that cannot be killed: the polls go on without it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.collect.collector import Collector
from pattoo_mp.config.families import EVERY
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.timelimit.deadline import NoAnswerError
from tests.support.configs import config_in
from tests.support.fuse import on_fuse
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fuse import Stage

INTERVAL_MS = 500
#: Files, and the sources that need them.
FILES = {
    "/proc/meminfo": {"memory", "swap"},
    "/proc/stat": {
        "processor.shares", "processor.times", "processor.counters", "per_processor.times", "uptime",
    },
    "/proc/vmstat": {"swap", "paging"},
    "/proc/diskstats": {"disk_io"},
    "/proc/loadavg": {"system.load", "load_per_processor"},
    "/proc/filesystems": {"disk_partitions", "inodes"},
    "/proc/sys/fs/file-nr": {"file_handles"},
    "/proc/1/stat": {"process_states", "top_processes"},
    "/sys/devices/system/cpu/online": {"processors", "load_per_processor"},
}  # fmt: skip


class Polls:
    """A collector of all families in a child process on a stage. The test acts as control."""

    def __init__(self, stage: Stage) -> None:
        self.link, theirs = Link.pair()
        self.times_ms: list[int] = []
        self.left_out: dict[str, str] = {}
        self.pid = os.fork()
        if self.pid == 0:
            self._run(stage, theirs)
        theirs.close()

    def _run(self, stage: Stage, link: Link) -> None:
        try:
            stage.enter()
            families = dict.fromkeys((*EVERY, "textfile"), True)
            families.pop("textfile")
            config = config_in(Path("/nowhere"), interval_ms=INTERVAL_MS, families=families)
            Collector(link, ORIGIN, config, 0, at_once=False).run()
        finally:
            os._exit(1)

    @property
    def hanging(self) -> set[str]:
        """The parts that the last poll left out because they hang."""
        return {name for name, why in self.left_out.items() if NoAnswerError.WORDS in why}

    def hear(self, enough: Callable[[], Any], what: str) -> None:
        """Read messages until `enough`."""

        def read() -> Any:  # noqa: ANN401 - whatever it returns
            for message in self.link.receive():
                if message[0] == Kind.POLL:
                    self.times_ms.append(message[2])
                elif message[0] == Kind.NOTE:
                    self.left_out = message[1]
            return enough()

        wait_for(read, what=what)

    def more(self, number: int) -> list[int]:
        """Return the times of the last poll and of so many more."""
        before = len(self.times_ms)
        self.hear(lambda: len(self.times_ms) >= before + number, "more polls")
        return self.times_ms[before - 1 :]


@pytest.mark.parametrize("path", FILES)
def test_polls_go_on_without_a_file_that_hangs(path: str) -> None:
    """They miss no tick after the first, leave out only what needs the file, and take it back later."""
    if not Path(path).exists():
        pytest.skip(f"this kernel has no {path}")
    with on_fuse(path) as stage:
        polls = Polls(stage)
        try:
            polls.more(2)
            assert not polls.hanging
            stage.hang(path)
            polls.more(2)
            polls.hear(lambda: polls.hanging, "a note")
            times_ms = polls.more(4)
            assert times_ms == list(range(times_ms[0], times_ms[-1] + 1, INTERVAL_MS))
            assert {name.partition(" ")[0] for name in polls.hanging} <= FILES[path]
            stage.answer(path)
            polls.hear(lambda: not polls.hanging, "its return")
            polls.more(1)
        finally:
            polls.link.close()
            os.kill(polls.pid, signal.SIGKILL)
            stage.answer(path)
            os.waitpid(polls.pid, 0)
