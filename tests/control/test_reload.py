"""Reloads of the configuration, with workers that have links but no processes."""

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
    """A configuration in force, the one that the next reading returns, and two workers."""

    def __init__(self, home: Path) -> None:
        self.found = config_in(home)
        self.problems: list[str] = []
        self.no_reader = ""
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
        if self.no_reader:
            raise ConfigError([self.no_reader])
        found = self.found, tuple(s.name for s in changes(running, self.found))
        self.readers.append(FakeReader(None if self.is_slow else found, self.problems))
        return self.readers[-1]

    def _adopt(self, config: Config) -> None:
        if not self.log_is_writable:
            raise OSError(errno.EROFS, "Read-only file system", "/log")
        self.adopted.append(config)

    def reload(self) -> None:
        """Reload, and apply the result."""
        self.live.reload()
        self.live.advance(self.workers)

    def received(self) -> list[list[tuple[int, int]]]:
        """What each worker received: the number of the settings, and their interval."""
        return [
            [(number, Config.of(fields).interval_ms) for _, number, fields in far.receive()]
            for far in self.far
        ]

    @property
    def waiting_for(self) -> list[str]:
        """The workers that have not applied the newest settings."""
        names: list[str] = self.status["waiting_for"]
        return names

    @property
    def status(self) -> dict[str, Any]:
        """The part of the status about reloads."""
        return self.live.snapshot(self.workers)

    def end(self) -> None:
        """Close all links."""
        for worker, far in zip(self.workers, self.far, strict=True):
            worker.close_link()
            far.close()


@pytest.fixture
def rig(home: Path) -> Iterator[Rig]:
    """A rig without any reload yet."""
    made = Rig(home)
    yield made
    made.end()


def test_new_settings_go_to_every_worker_and_are_awaited(rig: Rig) -> None:
    """Until each has reported that it has applied them, or later ones."""
    rig.found = replace(rig.found, interval_ms=200)
    rig.reload()
    assert rig.received() == [[(1, 200)], [(1, 200)]]
    assert rig.live.config == rig.found == rig.adopted[-1]
    assert rig.waiting_for == ["collector", "uploader"]
    rig.workers[0].settings_number = 1
    assert rig.waiting_for == ["uploader"]
    rig.found = replace(rig.found, interval_ms=300)
    rig.reload()
    for worker in rig.workers:
        worker.settings_number = 2
    assert rig.waiting_for == []
    assert rig.status["changed"] == ["polling_interval"]


def test_unchanged_settings_are_not_sent(rig: Rig) -> None:
    """The reading is counted all the same: --reload waits for the number."""
    rig.reload()
    assert rig.received() == [[], []]
    status = rig.status
    assert (status["number"], status["changed"], status["waiting_for"]) == (1, [], [])


def test_a_refused_configuration_changes_nothing(rig: Rig) -> None:
    """The status has its problems, until a later reading is accepted."""
    before = rig.live.config
    rig.problems = ["this; expected that", "one more"]
    rig.reload()
    assert rig.live.config == before
    assert rig.received() == [[], []]
    assert rig.status["problems"] == rig.problems
    rig.problems = []
    rig.reload()
    assert rig.status["problems"] == []


def test_of_very_many_problems_only_the_first_are_reported(rig: Rig) -> None:
    """A hundred thousand lines in the log and the status would be useless."""
    rig.problems = [f"{number}" for number in range(100_000)]
    rig.reload()
    *first, last = rig.status["problems"]
    assert first == rig.problems[:20]
    assert last == "and 99980 more; see --check"


def test_a_configuration_that_control_cannot_apply_is_refused(rig: Rig) -> None:
    """The log cannot be opened: one problem, and the workers receive nothing."""
    rig.found = replace(rig.found, log_level="info")
    rig.log_is_writable = False
    rig.reload()
    status = rig.status
    assert status["problems"] == [
        "/log: Read-only file system; expected a file that the agent can use"
    ]
    assert rig.live.config.log_level == "debug"
    assert rig.received() == [[], []]


def test_a_worker_that_starts_later_is_not_awaited(rig: Rig) -> None:
    """It started with the settings in force. A worker that does not run is not waited for, either."""
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


def test_a_worker_whose_exit_is_unnoticed_is_harmless(rig: Rig) -> None:
    """Its link is closed; the other worker gets the settings."""
    rig.far[0].close()
    rig.found = replace(rig.found, ip_bind_port=10)
    rig.reload()
    assert len(rig.far[1].receive()) == 1


def test_a_reload_during_a_reading_is_followed_by_one_more(rig: Rig) -> None:
    """They may have changed after they were read. One more reading serves all requests."""
    rig.is_slow = True
    rig.reload()
    rig.reload()
    rig.reload()
    assert len(rig.readers) == 1
    assert (rig.status["number"], rig.status["reading"]) == (0, True)
    rig.is_slow = False
    rig.readers[0].found = rig.found, ()
    rig.found = replace(rig.found, interval_ms=200)
    rig.live.advance(rig.workers)
    assert (rig.status["number"], rig.status["reading"]) == (1, True)
    assert rig.readers[0].is_over
    rig.live.advance(rig.workers)
    assert (rig.status["number"], rig.status["reading"]) == (2, False)
    assert rig.status["changed"] == ["polling_interval"]
    assert len(rig.readers) == 2


def test_a_cancelled_reading_changes_nothing(rig: Rig) -> None:
    """As in a stop: its process is ended."""
    rig.is_slow = True
    rig.reload()
    rig.live.cancel()
    rig.live.cancel()
    rig.readers[0].found = replace(rig.found, interval_ms=200), ("polling_interval",)
    rig.live.advance(rig.workers)
    assert rig.readers[0].is_over
    assert (rig.status["number"], rig.status["reading"]) == (0, False)
    assert rig.live.config == rig.found


def test_without_a_reader_the_reload_is_refused_at_once(rig: Rig) -> None:
    """The host has no process for a reader; the status has the reason."""
    rig.no_reader = "no room"
    rig.reload()
    assert rig.status["problems"] == ["no room"]
    assert (rig.status["number"], rig.status["reading"]) == (1, False)
