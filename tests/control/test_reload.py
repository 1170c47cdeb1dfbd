"""The configuration in force, with workers that have links but no processes."""

from __future__ import annotations

import errno
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.config.load import changes
from pattoo_mp.config.values import Config
from pattoo_mp.control.reload import LiveConfig
from pattoo_mp.control.worker import Role, Worker
from pattoo_mp.errors import ConfigError
from pattoo_mp.ipc.link import Link
from tests.support.configs import config_in
from tests.support.readers import FakeReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Rig:
    """A configuration in force, the one that the next reading finds, and two workers."""

    def __init__(self, home: Path) -> None:
        self.found = config_in(home)
        self.problems: list[str] = []
        self.nobody_reads = ""
        self.is_slow = False
        self.readers: list[FakeReader] = []
        self.adopted: list[Config] = []
        self.log_is_writable = True
        self.live = LiveConfig(self.found, self._read, self._adopt)
        self.workers = [
            Worker(Role(name, lambda _: None, signal.SIGKILL)) for name in ("collector", "uploader")
        ]
        self.far = []
        for number, worker in enumerate(self.workers):
            worker.link, far = Link.pair()
            worker.pid = number + 1
            self.far.append(far)

    def _read(self, running: Config) -> FakeReader:
        if self.nobody_reads:
            raise ConfigError([self.nobody_reads])
        found = self.found, tuple(s.name for s in changes(running, self.found))
        self.readers.append(FakeReader(None if self.is_slow else found, self.problems))
        return self.readers[-1]

    def _adopt(self, config: Config) -> None:
        if not self.log_is_writable:
            raise OSError(errno.EROFS, "Read-only file system", "/log")
        self.adopted.append(config)

    def reload(self) -> None:
        """Read anew."""
        self.live.reload()
        self.live.advance(self.workers)

    def heard(self) -> list[list[tuple[int, int]]]:
        """What each worker was told: the number of the settings, and the interval in them."""
        return [
            [(number, Config.of(fields).interval_ms) for _, number, fields in far.receive()]
            for far in self.far
        ]

    @property
    def waiting_for(self) -> list[str]:
        """Who does not go by the newest settings yet."""
        names: list[str] = self.answer["waiting_for"]
        return names

    @property
    def answer(self) -> dict[str, Any]:
        """What the status says of it."""
        return self.live.snapshot(self.workers)

    def end(self) -> None:
        """Close every link."""
        for worker, far in zip(self.workers, self.far, strict=True):
            worker.close_link()
            far.close()


@pytest.fixture
def rig(home: Path) -> Iterator[Rig]:
    """One that has read nothing anew yet."""
    made = Rig(home)
    yield made
    made.end()


def test_new_settings_go_to_every_worker_and_are_waited_for(rig: Rig) -> None:
    """Until each has said that it goes by them, or by later ones."""
    rig.found = replace(rig.found, interval_ms=200)
    rig.reload()
    assert rig.heard() == [[(1, 200)], [(1, 200)]]
    assert rig.live.config == rig.found == rig.adopted[-1]
    assert rig.waiting_for == ["collector", "uploader"]
    rig.workers[0].settings_number = 1
    assert rig.waiting_for == ["uploader"]
    rig.found = replace(rig.found, interval_ms=300)
    rig.reload()
    for worker in rig.workers:
        worker.settings_number = 2
    assert rig.waiting_for == []
    assert rig.answer["changed"] == ["polling_interval"]


def test_what_has_not_changed_is_told_to_nobody(rig: Rig) -> None:
    """The reading is counted all the same: who asked for it waits for that."""
    rig.reload()
    assert rig.heard() == [[], []]
    answer = rig.answer
    assert (answer["number"], answer["changed"], answer["waiting_for"]) == (1, [], [])


def test_a_refused_configuration_changes_nothing(rig: Rig) -> None:
    """Its lines are the answer, until a later reading is accepted."""
    before = rig.live.config
    rig.problems = ["this; expected that", "one more"]
    rig.reload()
    assert rig.live.config == before
    assert rig.heard() == [[], []]
    assert rig.answer["problems"] == rig.problems
    rig.problems = []
    rig.reload()
    assert rig.answer["problems"] == []


def test_of_very_many_problems_the_first_are_told(rig: Rig) -> None:
    """A log and a status that hold a hundred thousand lines help nobody."""
    rig.problems = [f"{number}" for number in range(100_000)]
    rig.reload()
    *told, last = rig.answer["problems"]
    assert told == rig.problems[:20]
    assert last == "and 99980 more; see --check"


def test_a_configuration_that_control_itself_cannot_go_by_is_refused(rig: Rig) -> None:
    """A log that cannot be opened: one line, and the workers are told nothing."""
    rig.found = replace(rig.found, log_level="info")
    rig.log_is_writable = False
    rig.reload()
    answer = rig.answer
    assert answer["problems"] == [
        "/log: Read-only file system; expected a file that the agent can use"
    ]
    assert rig.live.config.log_level == "debug"
    assert rig.heard() == [[], []]


def test_a_worker_that_starts_later_is_not_waited_for(rig: Rig) -> None:
    """It started with what is in force; one that is gone has nothing to go by."""
    collector, uploader = rig.workers
    uploader.close_link()
    uploader.pid = 0
    rig.found = replace(rig.found, ip_bind_port=10)
    rig.reload()
    assert rig.waiting_for == ["collector"]
    collector.pid = 0
    assert rig.waiting_for == []
    collector.pid = 3
    rig.live.started(collector)
    assert rig.waiting_for == []


def test_a_worker_whose_end_nobody_has_noticed_yet_does_no_harm(rig: Rig) -> None:
    """Its link is broken; the other one is told."""
    rig.far[0].close()
    rig.found = replace(rig.found, ip_bind_port=10)
    rig.reload()
    assert len(rig.far[1].receive()) == 1


def test_who_asks_while_the_files_are_read_has_them_read_once_more(rig: Rig) -> None:
    """They may have changed after they were read. However many ask, once is enough for all."""
    rig.is_slow = True
    rig.reload()
    rig.reload()
    rig.reload()
    assert len(rig.readers) == 1
    assert (rig.answer["number"], rig.answer["reading"]) == (0, True)
    rig.is_slow = False
    rig.readers[0].found = rig.found, ()
    rig.found = replace(rig.found, interval_ms=200)
    rig.live.advance(rig.workers)
    assert (rig.answer["number"], rig.answer["reading"]) == (1, True)
    assert rig.readers[0].is_over
    rig.live.advance(rig.workers)
    assert (rig.answer["number"], rig.answer["reading"]) == (2, False)
    assert rig.answer["changed"] == ["polling_interval"]
    assert len(rig.readers) == 2


def test_a_reading_that_is_given_up_changes_nothing(rig: Rig) -> None:
    """As in a stop; its process is ended."""
    rig.is_slow = True
    rig.reload()
    rig.live.cancel()
    rig.live.cancel()
    rig.readers[0].found = replace(rig.found, interval_ms=200), ("polling_interval",)
    rig.live.advance(rig.workers)
    assert rig.readers[0].is_over
    assert (rig.answer["number"], rig.answer["reading"]) == (0, False)
    assert rig.live.config == rig.found


def test_files_that_nobody_can_read_now_are_refused_at_once(rig: Rig) -> None:
    """A host without room for a reader; the reason is the answer."""
    rig.nobody_reads = "no room"
    rig.reload()
    assert rig.answer["problems"] == ["no room"]
    assert (rig.answer["number"], rig.answer["reading"]) == (1, False)
