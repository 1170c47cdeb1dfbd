"""The collector as a process, its settings, its time slices, and its check of the clock."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import traceback
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.collector import ClockCheck, Collector
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import Layout, Poll, now_ms
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
    """A collector in a child process. The test acts as control."""

    def __init__(
        self,
        home: Path,
        interval_ms: int,
        *,
        at_once: bool,
        intervals: dict[str, int] | None = None,
        after_ms: int = 0,
    ) -> None:
        self.home = home
        self.after_ms = after_ms
        self.adopted = home / "adopted"
        self.heard: list[Message] = []
        self.link, theirs = Link.pair()
        self.pid = os.fork()
        if self.pid == 0:
            config = config_in(home, interval_ms=interval_ms, intervals=intervals or {})
            self._run(theirs, config, at_once=at_once)
        theirs.close()

    def _run(self, link: Link, config: Config, *, at_once: bool) -> None:
        status = 1
        try:
            self.link.close()
            Collector(link, ORIGIN, config, self.after_ms, at_once=at_once, adopt=self._adopt).run()
            status = 0
        except BaseException:  # noqa: BLE001 - pytest's own handling must not run in the child
            traceback.print_exc()
        finally:
            os._exit(status)

    def _adopt(self, config: Config) -> None:
        self.adopted.write_text(config.log_level)

    def settle(self, number: int, interval_ms: int) -> None:
        """Send it settings, and wait until it applies them."""
        config = config_in(self.home, interval_ms=interval_ms, log_level=f"level{number}")
        self.link.send(Kind.SETTINGS, number, config.fields())
        wait_for(lambda: [Kind.APPLIED, number] in self.hear(), what="its confirmation")
        assert self.adopted.read_text() == f"level{number}"

    def hear(self) -> list[Message]:
        """Return all messages so far."""
        self.heard += self.link.receive()
        return self.heard

    def wait_for_polls(self, count: int) -> None:
        """Wait until it has made that many in all."""
        wait_for(lambda: sum(m[0] == Kind.POLL for m in self.hear()) >= count, what="polls")


def layouts(process: Process) -> list[Layout]:
    """Return all layouts so far, in order."""
    return [Layout.unpack(m[2]) for m in process.hear() if m[0] == Kind.LAYOUT]


def newest_values(process: Process) -> list[Value]:
    """Return the values of the last poll so far."""
    return [Poll(*m[1:4]).values() for m in process.hear() if m[0] == Kind.POLL][-1]


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Collectors, which must still run at the end of the test. Then they are killed."""
    processes: list[Process] = []
    yield processes
    statuses = []
    for process in processes:
        # Before the link is closed: that would end it as well.
        os.kill(process.pid, signal.SIGKILL)
        statuses.append(os.waitpid(process.pid, 0)[1])
        process.link.close()
    assert {os.waitstatus_to_exitcode(each) for each in statuses} == {-signal.SIGKILL}


def test_the_interval_changes_between_two_polls(home: Path, started: list[Process]) -> None:
    """It sends the boundary, and the polls, their layouts and their times agree with it."""
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


def test_settings_before_the_first_poll_are_applied(home: Path, started: list[Process]) -> None:
    """A short interval, while it is about to poll at once: times increase all the same."""
    started.append(Process(home, 86_400_000, at_once=True))
    process = started[0]
    process.settle(1, 10)
    process.wait_for_polls(5)
    times = [message[2] for message in process.heard if message[0] == Kind.POLL]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_the_same_interval_again_changes_no_tick(home: Path, started: list[Process]) -> None:
    """No message about intervals is sent."""
    started.append(Process(home, 50, at_once=False))
    process = started[0]
    process.settle(1, 50)
    process.wait_for_polls(3)
    assert Kind.INTERVALS not in {message[0] for message in process.heard}


def test_an_unknown_message_is_ignored(home: Path, started: list[Process]) -> None:
    """Polling goes on."""
    started.append(Process(home, 50, at_once=False))
    started[0].link.send("nonsense", 1)
    started[0].wait_for_polls(3)


def test_families_come_and_go_between_two_polls(home: Path, started: list[Process]) -> None:
    """Polls after the confirmation have the new families. Times increase as before."""
    started.append(Process(home, 20, at_once=False))
    process = started[0]
    process.wait_for_polls(2)
    more = config_in(home, interval_ms=20, families=("uptime",), families_off=("memory",))
    process.link.send(Kind.SETTINGS, 1, more.fields())
    wait_for(lambda: [Kind.APPLIED, 1] in process.hear(), what="its confirmation")
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
    """The collector requests it with each poll, and does not wait for the answer."""
    started.append(Process(home, 20, at_once=False))
    process = started[0]
    only = config_in(home, interval_ms=20, families=("agent",), families_off=ORIGINAL)
    process.link.send(Kind.SETTINGS, 1, only.fields())
    wait_for(lambda: [Kind.LEDGER] in process.hear(), what="its request")
    process.link.send(Kind.LEDGER, {"": {"polled": 7, "missed": 1}})
    wait_for(lambda: newest_values(process) == [7, 1], what="the ledger in a poll")
    keys = [series.key for series in layouts(process)[-1].series]
    assert keys == ["agent_polled", "agent_missed"]


def polls(process: Process) -> list[tuple[int, int]]:
    """Return the time and the interval of each poll so far."""
    return [(m[2], m[5]) for m in process.hear() if m[0] == Kind.POLL]


def keys_of(process: Process, interval_ms: int) -> set[str]:
    """Return the keys that a group has polled so far."""
    mine = [layout for layout in layouts(process) if layout.interval_ms == interval_ms]
    return {series.key for layout in mine for series in layout.series}


def test_each_group_is_polled_at_its_own_interval(home: Path, started: list[Process]) -> None:
    """Each with its own layout, sent once. Times never go back, and no poll comes twice."""
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
    made = polls(process)
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(made))
    assert all(time % interval_ms == 0 for time, interval_ms in made)
    assert len(set(made)) == len(made)


def test_each_group_with_a_far_first_tick_is_polled_at_once(
    home: Path, started: list[Process]
) -> None:
    """Once, all at the same moment, and before the other groups go on."""
    own = {"memory": 43_200_000, "network": 20}
    started.append(Process(home, 86_400_000, at_once=True, intervals=own))
    process = started[0]
    process.wait_for_polls(5)
    (first, *_), made = polls(process), polls(process)
    assert {ms for time, ms in made if time == first[0]} >= {43_200_000, 86_400_000}
    assert {ms for time, ms in made if time > first[0]} == {20}
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(made))


def test_a_family_moves_to_another_group_between_two_polls(
    home: Path, started: list[Process]
) -> None:
    """To a new group, and back: the boundary is sent, and times never go back."""
    started.append(Process(home, 20, at_once=False))
    process = started[0]
    process.wait_for_polls(2)
    for number, own in enumerate(({"memory": 50}, {}), 1):
        config = config_in(home, interval_ms=20, intervals=own)
        process.link.send(Kind.SETTINGS, number, config.fields())
        wait_for(lambda n=number: [Kind.APPLIED, n] in process.hear(), what="its confirmation")  # type: ignore[misc]
        process.wait_for_polls(len(polls(process)) + 6)
    assert [m[1] for m in process.heard if m[0] == Kind.INTERVALS] == [[20, 50], [20]]
    assert {ms for _, ms in polls(process)} == {20, 50}
    made = polls(process)
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(made))
    assert "memory_total" in {series.key for series in layouts(process)[-1].series}
    assert {m[4] for m in process.heard if m[0] == Kind.POLL} <= {"", "late"}


# Short time slices. Nothing else about the scheduling of a process changes.

#: Requests short slices, and prints how it is scheduled.
PROGRAM = """
import os
from pattoo_mp.collect.collector import request_short_slice
BEFORE
asked = request_short_slice()
print(asked, os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
"""


def scheduled(before: str) -> tuple[bool, int, int]:
    """Return whether the request was possible, and the policy and the nice value after it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("BEFORE", before)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    asked, policy, nice = done.stdout.split()
    return asked == "True", int(policy), int(nice)


@pytest.mark.parametrize("nice", [0, 5])
def test_policy_and_nice_value_stay(nice: int) -> None:
    """Short slices do not change the priority."""
    _, _, own = scheduled("pass")
    _, policy, after = scheduled(f"os.nice({nice})")
    assert (policy, after) == (0, min(own + nice, 19))  # 19 is the highest nice value


def test_another_policy_is_left_alone() -> None:
    """The operator chose it."""
    before = "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"
    assert scheduled(before)[:2] == (False, 3)


# The log when polls are ahead of the clock.

NOON_MS = 1_714_996_800_000


def test_the_beginning_and_the_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Once each, however many polls are between them."""
    caplog.set_level(logging.INFO)
    clock_check = ClockCheck()
    for by_s in (0, 9, 3_600, 3_599, 11, 9, 0):
        clock_check.check(NOON_MS + by_s * 1000, NOON_MS)
    assert caplog.messages == [
        "Polls carry times 60 min ahead of this host's clock, which was set back, or was wrong "
        "before.",
        "Polls carry the times of this host's clock again.",
    ]


# What a collector hands on to its successor.

FAR_MS = 4_000


def test_a_successor_polls_no_tick_again(home: Path, started: list[Process]) -> None:
    """The poll of its predecessor is ahead of the clock by a few ticks, as after a clock set back."""
    ahead_ms = (now_ms() // 100 + 20) * 100
    started.append(Process(home, 100, at_once=False, after_ms=ahead_ms))
    started[0].wait_for_polls(3)
    assert min(time for time, _ in polls(started[0])) > ahead_ms


def test_a_successor_does_not_poll_at_once(home: Path, started: list[Process]) -> None:
    """Its first poll is at a tick, even where that is far away."""
    started.append(Process(home, FAR_MS, at_once=False, after_ms=now_ms()))
    started[0].wait_for_polls(1)
    assert [time % FAR_MS for time, _ in polls(started[0])] == [0]


def test_a_group_that_comes_by_a_reload_is_not_polled_off_its_grid(
    home: Path, started: list[Process]
) -> None:
    """Even if the agent was just started, when a far first tick is not waited for."""
    started.append(Process(home, 50, at_once=True))
    process = started[0]
    process.wait_for_polls(2)
    config = config_in(home, interval_ms=50, intervals={"memory": 86_400_000})
    process.link.send(Kind.SETTINGS, 1, config.fields())
    wait_for(lambda: [Kind.APPLIED, 1] in process.hear(), what="its confirmation")
    process.wait_for_polls(len(polls(process)) + 4)
    assert {ms for _, ms in polls(process)} == {50}
    assert all(time % ms == 0 for time, ms in polls(process))


def test_each_group_sends_its_layout_again_after_a_change_of_intervals(
    home: Path, started: list[Process]
) -> None:
    """Control forgets the layouts of a group that ends, so one that returns sends its layout first."""
    started.append(Process(home, 20, at_once=False))
    process = started[0]
    process.wait_for_polls(2)
    for number, interval_ms in enumerate((50, 20), 1):
        process.settle(number, interval_ms)
        process.wait_for_polls(len(polls(process)) + 3)
    known: dict[int, str] = {}
    for kind, *fields in process.heard:
        match kind:
            case Kind.INTERVALS:
                known = {ms: name for ms, name in known.items() if ms in fields[0]}
            case Kind.LAYOUT:
                known[fields[2]] = fields[0]
            case Kind.POLL:
                assert known[fields[4]] == fields[0]
