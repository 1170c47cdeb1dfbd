"""The workers of control: their last messages, the settings that a successor starts with, and restarts."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control.arbiter import Arbiter
from pattoo_mp.control.broker import Broker
from pattoo_mp.control.ledger import Ledger
from pattoo_mp.control.reload import LiveConfig
from pattoo_mp.control.worker import Role
from pattoo_mp.control.workers import Workers
from pattoo_mp.ipc.channel import Channel
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.spool.account import SpoolState
from tests.control.test_arbiter import Control, polled, polling
from tests.support.configs import config_in
from tests.support.readers import FakeReader
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.ipc.link import Link

INTERVAL_MS = 1000


class Rig:
    """Control's workers with real processes, which a test starts and reaps step by step."""

    def __init__(
        self, home: Path, collect: Callable[[Link], None], upload: Callable[[Link], None]
    ) -> None:
        self.config = config_in(home, interval_ms=INTERVAL_MS)
        self.found = replace(self.config, interval_ms=INTERVAL_MS)
        self.broker = Broker(Channel(), Ledger(INTERVAL_MS))
        self.live = LiveConfig(
            self.config, lambda _: FakeReader((self.found, ("polling_interval",)))
        )
        self.workers = Workers(
            Role("collector", collect, signal.SIGKILL),
            Role("uploader", upload, signal.SIGKILL),
            self.broker,
            self.live,
            60.0,
        )

    def start(self) -> None:
        """Start both, the collector at once."""
        self.workers.collector.start_at = 0.0
        self.workers.start_due(lambda: None)

    def wait_for_the_end_of(self, pid: int) -> None:
        """Wait until a process has ended; it is not reaped."""
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    def reload(self) -> None:
        """Read and accept another configuration."""
        self.found = replace(self.config, interval_ms=INTERVAL_MS // 2)
        self.live.reload()
        self.live.advance(self.workers)


def idle(_: Link) -> None:
    """Wait for the end."""
    while True:
        signal.pause()


def three_polls(link: Link) -> None:
    """Send three polls and exit."""
    link.send(Kind.LAYOUT, "a", b"", INTERVAL_MS)
    for number in (1, 2, 3):
        link.send(Kind.POLL, "a", number * INTERVAL_MS, b"", "", INTERVAL_MS)


@pytest.fixture
def make(home: Path) -> Iterator[Callable[..., Rig]]:
    """Makes rigs; their processes are killed after the test."""
    made: list[Rig] = []

    def begin(collect: Callable[[Link], None] = idle, upload: Callable[[Link], None] = idle) -> Rig:
        made.append(Rig(home, collect, upload))
        return made[-1]

    yield begin
    for rig in made:
        rig.workers.kill(20)


def test_the_last_messages_of_a_worker_that_has_exited_are_handled(
    make: Callable[..., Rig],
) -> None:
    """Control may learn of its end before it has read them."""
    rig = make(three_polls)
    rig.start()
    rig.wait_for_the_end_of(rig.workers.collector.pid)
    rig.workers.replace(any_ended=True)
    assert (rig.broker.ledger.polled, len(rig.broker.channel)) == (3, 3)
    assert rig.workers.collector.last_death == "exit status 0"


def test_a_successor_starts_with_the_settings_in_force(make: Callable[..., Rig]) -> None:
    """Its predecessor died before it could apply them, so nobody is waited for."""
    rig = make()
    rig.start()
    rig.reload()
    assert rig.live.snapshot(rig.workers)["waiting_for"] == ["collector", "uploader"]
    for worker in rig.workers:
        before = worker.pid
        os.kill(worker.pid, signal.SIGKILL)
        rig.wait_for_the_end_of(worker.pid)
        rig.workers.replace(any_ended=True)
        worker.start_at = 0.0
        rig.workers.start_due(lambda: None)
        assert worker.pid not in {0, before}
        assert worker.role.name not in rig.live.snapshot(rig.workers)["waiting_for"]


def test_a_new_collector_is_counted_by_the_intervals_it_starts_with(
    make: Callable[..., Rig],
) -> None:
    """The one before was killed before it could report the change."""
    rig = make()
    rig.start()
    rig.reload()
    assert rig.broker.ledger.intervals_ms == [INTERVAL_MS]
    os.kill(rig.workers.collector.pid, signal.SIGKILL)
    rig.wait_for_the_end_of(rig.workers.collector.pid)
    rig.workers.replace(any_ended=True)
    rig.start()
    assert rig.broker.ledger.intervals_ms == [INTERVAL_MS // 2]


def test_the_account_of_earlier_polls_starts_only_the_first_collector(
    make: Callable[..., Rig],
) -> None:
    """A later one waits for the end of its delay, as any worker that keeps dying."""
    rig = make()
    rig.broker.ledger.update_account(SpoolState())
    rig.workers.begin_polling()
    assert rig.workers.collector.start_at == 0.0
    rig.workers.collector.note_death("exit status 1")
    due = rig.workers.collector.start_at = time.monotonic() + 30
    rig.workers.begin_polling()
    assert rig.workers.collector.start_at == due


def test_a_new_uploader_has_the_whole_time_for_its_first_message(make: Callable[..., Rig]) -> None:
    """Its predecessor was silent, and polls wait for it."""
    rig = make(three_polls)
    rig.start()
    rig.wait_for_the_end_of(rig.workers.collector.pid)
    rig.workers.replace(any_ended=True)
    uploader = rig.workers.uploader
    rig.workers._liveness._heard[uploader] = 0.0
    os.kill(uploader.pid, signal.SIGKILL)
    rig.wait_for_the_end_of(uploader.pid)
    rig.workers.replace(any_ended=True)
    uploader.start_at = 0.0
    rig.workers.start_due(lambda: None)
    assert len(rig.broker.channel) == 3
    assert rig.workers._liveness.quiet_s(uploader) < 60
    assert rig.workers._liveness.deadline(uploader) > time.monotonic()


def test_an_uploader_that_could_not_store_its_polls_is_not_replaced_in_a_stop(home: Path) -> None:
    """Nor could another one: the disk is full. Control ends at once, and does not try again and again."""
    begun = home / "begun"

    def storing_nothing(link: Link) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with begun.open("a") as file:
            file.write(f"{os.getpid()}\n")
        while True:
            if any(message[0] == Kind.CLOSE for message in link.receive()):
                return
            link.send(Kind.KEPT, 0)
            time.sleep(0.01)

    begun.touch()
    begun.chmod(0o666)
    control = Control(home, polling, storing_nothing, 60.0, Arbiter)
    wait_for(lambda: polled(control) > 3, what="polls")
    os.kill(control.pid, signal.SIGTERM)
    assert control.wait() == 0
    assert len(begun.read_text().splitlines()) == 1


def test_the_troubles_of_a_worker_end_with_it(make: Callable[..., Rig]) -> None:
    """Its successor reports its own, if it has any."""
    rig = make()
    rig.start()
    rig.broker.handle(rig.workers.uploader, [Kind.NOTE, {"spool": "the disk is full"}])
    assert rig.workers.uploader.troubles
    os.kill(rig.workers.uploader.pid, signal.SIGKILL)
    rig.wait_for_the_end_of(rig.workers.uploader.pid)
    rig.workers.replace(any_ended=True)
    assert rig.workers.uploader.troubles == {}
