"""A mount or a processor frequency that hangs does not affect the rest of the poll."""

from __future__ import annotations

import logging
import os
import signal
import threading
import weakref
from collections import namedtuple
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect import collector, registry
from pattoo_mp.collect.collector import Collector
from pattoo_mp.collect.context import Plan
from pattoo_mp.collect.families import processor
from pattoo_mp.collect.poller import Groups, Poller
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Table
from pattoo_mp.doctor.polls import DEFAULT
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import INTEGER, Layout, Poll, now_ms
from tests.support.configs import config_in
from tests.support.sources import sources_of
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.ipc.link import Message
    from pattoo_mp.model import Value

LIMIT_S = 0.4

Mount = namedtuple("Mount", "device mountpoint fstype opts")


class Disks:
    """The mounts of a host. Those in `dead` hang until `answer`."""

    def __init__(self, *mountpoints: str) -> None:
        self.mounts = [Mount(f"server:{path}", path, "nfs", "rw") for path in mountpoints]
        self.dead: set[str] = set()
        self.answer = Event()
        #: Queries of dead mounts, each of which occupied a thread.
        self.hung: list[str] = []
        self.threads_seen: set[threading.Thread] = set()
        self._lives: dict[str, int] = {}
        self._usage = psutil.disk_usage("/")

    def dies_after(self, queries: int, path: str) -> None:
        """Make a mount hang after this number of queries."""
        self._lives[path] = queries

    def usage(self, path: str) -> object:
        """Replace psutil.disk_usage."""
        self.threads_seen.add(threading.current_thread())
        if path in self._lives:
            self._lives[path] -= 1
            if self._lives[path] < 0:
                self.dead.add(path)
        if path in self.dead:
            self.hung.append(path)
            self.answer.wait(60)
        return self._usage

    def threads(self) -> int:
        """Return the number of threads that have made a query and still exist."""
        return sum(thread.is_alive() for thread in set(self.threads_seen))

    def come_back(self) -> None:
        """Make the dead mounts answer."""
        self.dead.clear()
        self.answer.set()


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disks]:
    """A host with three mounts."""
    disks = Disks("/", "/data", "/home")
    monkeypatch.setattr(psutil, "disk_partitions", lambda: disks.mounts)
    monkeypatch.setattr(psutil, "disk_usage", disks.usage)
    yield disks
    disks.come_back()


@pytest.fixture
def poller() -> Poller:
    """Return a poller of the mounts."""
    return Poller(sources_of("partitions", limit_s=LIMIT_S), ORIGIN, 1000)


def mountpoints(layout: Layout) -> list[str]:
    """Return the mount points of a layout's series, each once."""
    return list(dict.fromkeys(dict(s.metadata)["disk_partition_mountpoint"] for s in layout.series))


def polled(poller: Poller) -> list[str]:
    """Return the mounts in a poll."""
    layout, poll = poller.poll(1000)
    assert len(poll.values()) == len(layout.series)
    return mountpoints(layout)


def test_a_hanging_mount_is_left_out(disks: Disks, poller: Poller) -> None:
    """The others are in that very poll, and the mount is named with the reason."""
    disks.dead = {"/data"}
    assert polled(poller) == ["/", "/home"]
    assert poller.left_out == {"disk_partitions /data": "no answer within 0.4 s"}


def test_a_hanging_mount_is_logged_once(
    disks: Disks, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    """However many polls leave it out; and once more when it is back."""
    caplog.set_level(logging.INFO, "pattoo_mp.collect.poller")
    disks.dead = {"/data"}
    for _ in range(20):
        polled(poller)
    disks.come_back()
    wait_for(lambda: polled(poller) == ["/", "/data", "/home"], what="its return")
    messages = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    assert messages == [
        "disk_partitions /data is left out of the polls: no answer within 0.4 s",
        "disk_partitions /data is no longer left out.",
    ]
    assert poller.left_out == {}


def test_a_hanging_mount_occupies_one_thread(disks: Disks, poller: Poller) -> None:
    """Not one in each poll, and none when it is back."""
    polled(poller)
    disks.dead = {"/home", "/data"}
    for _ in range(100):
        assert polled(poller) == ["/"]
    assert sorted(disks.hung) == ["/data", "/home"]
    wait_for(lambda: polled(poller) and disks.threads() <= 3, what="the end of the others")
    disks.come_back()
    wait_for(lambda: len(polled(poller)) == 3, what="their return")
    wait_for(lambda: disks.threads() <= 1, what="the end of their threads")


def test_a_mount_that_vanishes_while_it_hangs_is_not_named(disks: Disks, poller: Poller) -> None:
    """A file system that is not mounted is not left out."""
    disks.dead = {"/data"}
    polled(poller)
    del disks.mounts[1]
    assert polled(poller) == ["/", "/home"]
    assert poller.left_out == {}


def test_another_device_at_the_mount_point_of_a_hanging_one_is_queried(
    disks: Disks, poller: Poller
) -> None:
    """It is another mount."""
    disks.dead = {"/data"}
    polled(poller)
    disks.dead = set()
    disks.mounts[1] = disks.mounts[1]._replace(device="other:/data")
    assert polled(poller) == ["/", "/data", "/home"]


def test_a_remounted_hanging_mount_is_not_queried_again(disks: Disks, poller: Poller) -> None:
    """The kernel remounts a failing disk read-only: it is the same disk."""
    disks.dead = {"/data"}
    polled(poller)
    disks.mounts[1] = disks.mounts[1]._replace(opts="ro")
    assert polled(poller) == ["/", "/home"]
    assert disks.hung == ["/data"]


def test_a_hanging_frequency_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other processor figures are polled, and the frequency again once it answers."""
    answer = Event()
    asked: list[str] = []

    def frequencies() -> dict[int, float]:
        asked.append("frequency")
        answer.wait(60)
        return {0: 2600.0}

    monkeypatch.setattr(processor, "by_processor", frequencies)
    poller = Poller(sources_of("processor", limit_s=LIMIT_S), ORIGIN, 1000)
    for _ in range(50):
        keys = {series.key for series in poller.poll(1000)[0].series}
        assert "cpu_frequency" not in keys
        assert {"cpu_times_user", "cpu_times_percent_user", "cpu_stats_interrupts"} <= keys
    assert poller.left_out == {"processor.frequency": "NoAnswerError: no answer within 0.4 s"}
    assert asked == ["frequency"]
    answer.set()
    wait_for(lambda: poller.poll(1000)[0].series[0].key == "cpu_frequency", what="its return")
    assert poller.left_out == {}


def test_all_that_hang_share_the_limit(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the mounts and the frequency, and the rest of the host is polled."""
    monkeypatch.setattr(processor, "by_processor", lambda: disks.answer.wait(60))
    disks.dead = {"/", "/home"}
    poller = Poller(registry.sources(LIMIT_S, DEFAULT), ORIGIN, 1000)
    layout, _ = poller.poll(1000)
    assert {"process_count", "memory_total", "cpu_times_user"} <= {s.key for s in layout.series}
    expected = {"disk_partitions /", "disk_partitions /home", "processor.frequency"}
    assert expected <= set(poller.left_out)
    assert {poller.left_out[name].removeprefix("NoAnswerError: ") for name in expected} == {
        "no answer within 0.4 s"
    }


@pytest.mark.parametrize(
    ("interval_s", "limit_s"), [(300.0, 1.0), (2.0, 1.0), (1.0, 0.5), (0.1, 0.05), (0.01, 0.02)]
)
def test_the_limit_follows_the_interval(interval_s: float, limit_s: float) -> None:
    """Half of it, but at most a second, and at least as long as a busy host may delay a thread."""
    assert registry.time_limit_s(interval_s) == limit_s


def test_the_limit_can_change_between_two_polls(
    disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For all sources that may hang. A key that hangs already is not queried again."""
    asked: list[str] = []

    def frequency() -> None:
        asked.append("frequency")
        disks.answer.wait(60)

    monkeypatch.setattr(processor, "by_processor", frequency)
    plan = Plan(DEFAULT, LIMIT_S, shared=True)
    poller = Poller(registry.sources_of(plan), ORIGIN, 1000)
    disks.dead = {"/"}
    poller.poll(1000)
    plan.change_time_limit(0.1)
    disks.dead = {"/", "/home"}
    poller.poll(2000)
    assert poller.left_out["disk_partitions /home"] == "no answer within 0.1 s"
    assert poller.left_out["processor.frequency"] == "NoAnswerError: no answer within 0.1 s"
    assert asked == ["frequency"]
    assert len(disks.hung) == len(set(disks.hung))


def test_a_shape_that_changes_at_each_poll_is_not_kept() -> None:
    """Only the newest layout is kept: a disk that comes and goes for years takes no memory."""
    numbers = iter(range(10_000))
    poller = Poller(
        [Fields(Table("one", "One", "", INTEGER), lambda: {f"field{next(numbers)}": 1})],
        ORIGIN,
        1000,
    )
    layouts = [weakref.ref(poller.poll(1000)[0]) for _ in range(50)]
    assert [layout() is None for layout in layouts] == [True] * 49 + [False]


class Child:
    """A collector in a child process, on a host with a dead mount. The test acts as control."""

    def __init__(self, interval_ms: int = 100) -> None:
        self.interval_ms = interval_ms
        self.link, theirs = Link.pair()
        self.heard: list[Message] = []
        self.pid = os.fork()
        if self.pid == 0:
            self._run(theirs)
        theirs.close()

    def _run(self, link: Link) -> None:
        status = 1
        try:
            self.link.close()
            config = config_in(Path("/nowhere"), interval_ms=self.interval_ms)
            Collector(link, ORIGIN, config, 0, at_once=False).run()
            status = 0
        finally:
            os._exit(status)

    def hear(self, enough: Callable[[list[Message]], object]) -> None:
        """Read messages until `enough` holds."""

        def read() -> object:
            self.heard += self.link.receive()
            return enough(self.heard)

        wait_for(read, what="messages")

    def ended(self) -> tuple[int, int] | None:
        """Return the process ID and the exit status, if it has ended."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def notes(heard: list[Message]) -> list[Message]:
    """Return the messages about parts that are left out."""
    return [message for message in heard if message[0] == Kind.NOTE]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_collector_with_a_hanging_mount(
    disks: Disks, number: signal.Signals
) -> None:
    """It reports the mount to control, keeps polling, and ends without waiting for the mount."""
    disks.dead = {"/data"}
    child = Child()
    try:
        child.hear(lambda heard: any("disk_partitions /data" in m[1] for m in notes(heard)))
        polls = sum(m[0] == Kind.POLL for m in child.heard)
        child.hear(lambda heard: sum(m[0] == Kind.POLL for m in heard) > polls + 5)
        os.kill(child.pid, number)
        assert wait_for(child.ended, what="the end of the collector") == (child.pid, 0)
    except BaseException:
        os.kill(child.pid, signal.SIGKILL)
        raise
    finally:
        child.link.close()
    assert notes(child.heard)[-1][1]["disk_partitions /data"] == "no answer within 0.05 s"


def test_settings_that_come_with_a_tick_at_which_a_mount_hangs_are_applied(disks: Disks) -> None:
    """The poll that is due goes first, with the old settings. The successor has to do both."""
    disks.dies_after(1, "/data")
    child = Child(interval_ms=1000)
    try:
        child.hear(lambda heard: any(m[0] == Kind.POLL for m in heard))
        os.kill(child.pid, signal.SIGSTOP)
        first_ms = child.heard[-1][2]
        wait_for(lambda: now_ms() > first_ms + 1100, what="the next tick")
        settings = config_in(Path("/nowhere"), interval_ms=50)
        child.link.send(Kind.SETTINGS, 1, settings.fields())
        os.kill(child.pid, signal.SIGCONT)
        child.hear(lambda heard: [Kind.APPLIED, 1] in heard)
        polls = [m for m in child.heard if m[0] == Kind.POLL]
        assert polls[1][2] == first_ms + 1000
        assert "disk_partitions /data" in notes(child.heard)[-1][1]
        child.hear(lambda heard: heard[-1][0] == Kind.POLL and heard[-1][5] == 50)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        child.link.close()


def test_every_polling_thread_has_requested_short_slices(
    disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel grants them to a thread, so a successor has to request them too."""
    asked: set[int] = set()
    monkeypatch.setattr(collector, "request_short_slice", lambda: asked.add(threading.get_ident()))
    monkeypatch.setattr(psutil, "pids", lambda: [1] if threading.get_ident() in asked else [])
    disks.dies_after(3, "/data")
    child = Child()
    try:
        child.hear(lambda heard: any("disk_partitions /data" in m[1] for m in notes(heard)))
        polls = sum(m[0] == Kind.POLL for m in child.heard)
        child.hear(lambda heard: sum(m[0] == Kind.POLL for m in heard) > polls + 2)
        assert process_counts(child.heard) == {1}
    finally:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        child.link.close()


def process_counts(heard: list[Message]) -> set[Value]:
    """Return the numbers of processes in the polls so far."""
    places: dict[str, int] = {}
    counts = set()
    for message in heard:
        if message[0] == Kind.LAYOUT:
            keys = [series.key for series in Layout.unpack(message[2]).series]
            places[message[1]] = keys.index("process_count")
        elif message[0] == Kind.POLL:
            counts.add(Poll(*message[1:4]).values()[places[message[1]]])
    return counts


def test_the_shortest_interval_limits_the_delay_of_each_group(
    disks: Disks,
) -> None:
    """One thread polls all groups. A group whose interval changes still knows what hangs."""
    disks.dead = {"/data"}
    often, seldom = {"partitions": 5000}, {"partitions": 60_000}
    groups = Groups(ORIGIN, config_in(Path("/nowhere"), intervals=seldom), {})
    groups.poll(60_000, 1000)
    # With so short a limit a busy host may leave out a mount that answers, too.
    assert groups.left_out["disk_partitions /data"] == "no answer within 0.025 s"
    groups.change(config_in(Path("/nowhere"), interval_ms=1000, intervals=often))
    groups.poll(5000, 1000)
    assert groups.left_out["disk_partitions /data"] == "no answer within 0.25 s"
    assert disks.hung == ["/data"]
