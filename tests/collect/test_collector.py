"""The collector as a process, told of other settings."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.collector import Ahead, Collector
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import Layout, Poll
from tests.support.configs import config_in
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.config.values import Config
    from pattoo_mp.ipc.link import Message
    from pattoo_mp.model import Value


class Process:
    """A collector in a process of its own; we are its control."""

    def __init__(
        self,
        home: Path,
        interval_ms: int,
        *,
        at_once: bool,
        intervals: dict[str, int] | None = None,
    ) -> None:
        self.home = home
        self.adopted = home / "adopted"
        self.heard: list[Message] = []
        self.link, theirs = Link.pair()
        self.pid = os.fork()
        if self.pid == 0:
            config = config_in(home, interval_ms=interval_ms, intervals=intervals or {})
            self._be(theirs, config, at_once=at_once)
        theirs.close()

    def _be(self, link: Link, config: Config, *, at_once: bool) -> None:
        status = 1
        try:
            self.link.close()
            Collector(link, ORIGIN, config, 0, at_once=at_once, adopt=self._adopt).run()
            status = 0
        finally:
            os._exit(status)

    def _adopt(self, config: Config) -> None:
        self.adopted.write_text(config.log_level)

    def settle(self, number: int, interval_ms: int) -> None:
        """Tell it of settings, and wait until it goes by them."""
        config = config_in(self.home, interval_ms=interval_ms, log_level=f"level{number}")
        self.link.send(Kind.SETTINGS, number, config.fields())
        wait_for(lambda: [Kind.APPLIED, number] in self.hear(), what="its answer")
        assert self.adopted.read_text() == f"level{number}"

    def hear(self) -> list[Message]:
        """All that it has said."""
        self.heard += self.link.receive()
        return self.heard

    def wait_for_polls(self, count: int) -> None:
        """Wait until it has made so many in all."""
        wait_for(lambda: sum(m[0] == Kind.POLL for m in self.hear()) >= count, what="polls")


def layouts(process: Process) -> list[Layout]:
    """Every layout that it has told so far, in order."""
    return [Layout.unpack(m[2]) for m in process.hear() if m[0] == Kind.LAYOUT]


def newest_values(process: Process) -> list[Value]:
    """The values of the last poll that it has told."""
    return [Poll(*m[1:4]).values() for m in process.hear() if m[0] == Kind.POLL][-1]


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Collectors; none outlives the test."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.link.close()
        os.kill(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)


def test_the_interval_changes_between_two_polls(home: Path, started: list[Process]) -> None:
    """It says from when on, and the polls, their layout and their times agree with that."""
    started.append(Process(home, 50, at_once=False))
    process = started[0]
    interval_ms, boundaries = 50, []
    for number, another_ms in enumerate((80, 50, 20, 50), 1):
        process.wait_for_polls(number * 4)
        process.settle(number, another_ms)
    process.wait_for_polls(20)
    layouts: dict[str, Layout] = {}
    newest = 0
    for kind, *fields in process.heard:
        match kind:
            case Kind.LAYOUT:
                layouts[fields[0]] = Layout.unpack(fields[1])
            case Kind.INTERVALS:
                assert fields[1] // interval_ms == newest // interval_ms or not newest
                (interval_ms,), boundary = fields
                boundaries.append(boundary)
                newest = max(newest, boundary)
            case Kind.POLL:
                assert layouts[fields[0]].interval_ms == interval_ms
                assert fields[1] % interval_ms == 0
                assert fields[1] > newest
                newest = fields[1]
    assert len(boundaries) == 4
    assert all(earlier < later for earlier, later in pairwise(boundaries))


def test_other_settings_before_the_first_poll_cost_it_nothing(
    home: Path, started: list[Process]
) -> None:
    """A collector that is to poll at once, told of a short interval meanwhile: times still grow."""
    started.append(Process(home, 86_400_000, at_once=True))
    process = started[0]
    process.settle(1, 10)
    process.wait_for_polls(5)
    times = [message[2] for message in process.heard if message[0] == Kind.POLL]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_the_same_interval_again_changes_no_tick(home: Path, started: list[Process]) -> None:
    """Nothing is said of an interval that is as it was."""
    started.append(Process(home, 50, at_once=False))
    process = started[0]
    process.settle(1, 50)
    process.wait_for_polls(3)
    assert Kind.INTERVALS not in {message[0] for message in process.heard}


def test_a_message_that_nobody_understands_does_no_harm(home: Path, started: list[Process]) -> None:
    """It is passed over, and polling goes on."""
    started.append(Process(home, 50, at_once=False))
    started[0].link.send("nonsense", 1)
    started[0].wait_for_polls(3)


def test_families_come_and_go_between_two_polls(home: Path, started: list[Process]) -> None:
    """The polls after the answer are of the families that were named; times grow as before."""
    started.append(Process(home, 20, at_once=False))
    process = started[0]
    process.wait_for_polls(2)
    more = config_in(home, interval_ms=20, families=("uptime",), families_off=("memory",))
    process.link.send(Kind.SETTINGS, 1, more.fields())
    wait_for(lambda: [Kind.APPLIED, 1] in process.hear(), what="its answer")
    process.wait_for_polls(sum(m[0] == Kind.POLL for m in process.heard) + 2)
    found = layouts(process)
    before, after = ({s.key for s in layout.series} for layout in (found[0], found[-1]))
    assert "memory_total" in before - after
    assert {"uptime_seconds", "uptime_boot_time"} <= after - before
    times = [message[2] for message in process.heard if message[0] == Kind.POLL]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_the_ledger_of_a_poll_is_that_after_the_poll_before(
    home: Path, started: list[Process]
) -> None:
    """The collector asks for it with each poll, and waits for no answer."""
    started.append(Process(home, 20, at_once=False))
    process = started[0]
    only = config_in(home, interval_ms=20, families=("agent",), families_off=ORIGINAL)
    process.link.send(Kind.SETTINGS, 1, only.fields())
    wait_for(lambda: [Kind.LEDGER] in process.hear(), what="its question")
    process.link.send(Kind.LEDGER, {"polled": 7, "missed": 1})
    wait_for(lambda: newest_values(process) == [7, 1], what="the ledger in a poll")
    keys = [series.key for series in layouts(process)[-1].series]
    assert keys == ["agent_polled", "agent_missed"]


def polls(process: Process) -> list[tuple[int, int]]:
    """The time of each poll so far, and its interval."""
    return [(m[2], m[5]) for m in process.hear() if m[0] == Kind.POLL]


def keys_of(process: Process, interval_ms: int) -> set[str]:
    """What a group has polled so far."""
    mine = [layout for layout in layouts(process) if layout.interval_ms == interval_ms]
    return {series.key for layout in mine for series in layout.series}


def test_each_group_is_polled_at_its_own_interval(home: Path, started: list[Process]) -> None:
    """Each with its own layout, told once; what is due together comes together, times never go back."""
    own = {"memory": 40, "network": 120, "partitions": 120}
    started.append(Process(home, 20, at_once=False, intervals=own))
    process = started[0]
    wait_for(lambda: [ms for _, ms in polls(process)].count(120) >= 3, what="polls of each")
    # With so short an interval a busy host may leave a mount out of a poll.
    wait_for(lambda: "disk_partition_disk_usage_used" in keys_of(process, 120), what="the mounts")
    found = {interval_ms: keys_of(process, interval_ms) for interval_ms in (20, 40, 120)}
    assert {layout.interval_ms for layout in layouts(process)} == {20, 40, 120}
    for interval_ms in found:
        mine = [each for each in layouts(process) if each.interval_ms == interval_ms]
        assert all(before.identifier != after.identifier for before, after in pairwise(mine))
    assert "memory_total" in found[40] - found[20] - found[120]
    assert "disk_partition_disk_usage_used" in found[120] - found[20] - found[40]
    told = polls(process)
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(told))
    assert all(time % interval_ms == 0 for time, interval_ms in told)
    assert len(set(told)) == len(told)


def test_each_group_with_a_far_first_tick_is_polled_at_once(
    home: Path, started: list[Process]
) -> None:
    """Once, all at one moment, and before the others go on."""
    own = {"memory": 43_200_000, "network": 20}
    started.append(Process(home, 86_400_000, at_once=True, intervals=own))
    process = started[0]
    process.wait_for_polls(5)
    (first, *_), told = polls(process), polls(process)
    assert {ms for time, ms in told if time == first[0]} >= {43_200_000, 86_400_000}
    assert {ms for time, ms in told if time > first[0]} == {20}
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(told))


def test_a_family_moves_to_another_group_between_two_polls(
    home: Path, started: list[Process]
) -> None:
    """Into a new group, into the old one again: the boundary is told, and times never go back."""
    started.append(Process(home, 20, at_once=False))
    process = started[0]
    process.wait_for_polls(2)
    for number, own in enumerate(({"memory": 50}, {}), 1):
        config = config_in(home, interval_ms=20, intervals=own)
        process.link.send(Kind.SETTINGS, number, config.fields())
        wait_for(lambda n=number: [Kind.APPLIED, n] in process.hear(), what="its answer")  # type: ignore[misc]
        process.wait_for_polls(len(polls(process)) + 6)
    assert [m[1] for m in process.heard if m[0] == Kind.INTERVALS] == [[20, 50], [20]]
    assert {ms for _, ms in polls(process)} == {20, 50}
    told = polls(process)
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(told))
    assert "memory_total" in {series.key for series in layouts(process)[-1].series}
    assert {m[4] for m in process.heard if m[0] == Kind.POLL} <= {"", "late"}


# Short turns are asked for; nothing else of how a process is scheduled changes.

#: Prints how it is scheduled after it has asked.
PROGRAM = """
import os
from pattoo_mp.collect.collector import request_short_slice
BEFORE
asked = request_short_slice()
print(asked, os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
"""


def scheduled(before: str) -> tuple[bool, int, int]:
    """Whether short turns could be asked for, and the policy and the nice value after that."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("BEFORE", before)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    asked, policy, nice = done.stdout.split()
    return asked == "True", int(policy), int(nice)


@pytest.mark.parametrize("nice", [0, 5])
def test_policy_and_nice_value_stay(nice: int) -> None:
    """It is no question of priority."""
    _, _, own = scheduled("pass")
    _, policy, after = scheduled(f"os.nice({nice})")
    assert (policy, after) == (0, own + nice)


def test_another_policy_is_left_alone() -> None:
    """Somebody chose it."""
    before = "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"
    assert scheduled(before)[:2] == (False, 3)


# What the log says of polls with times that are to come.

NOON_MS = 1_714_996_800_000


def test_the_beginning_and_the_end_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Once each, however many polls there are between them."""
    caplog.set_level(logging.INFO)
    ahead = Ahead()
    for by_s in (0, 9, 3_600, 3_599, 11, 9, 0):
        ahead.look(NOON_MS + by_s * 1000, NOON_MS)
    assert caplog.messages == [
        "Polls carry times that are 60 min ahead of this host's clock, which was set back, or was "
        "wrong before.",
        "Polls carry the times of this host's clock again.",
    ]
