"""The collector process: polls at each tick and sends the polls to control, without waiting for it.

The main thread only waits. Another thread polls, so that it can be left behind when a mount hangs,
and a successor continues (`timelimit/succession.py`).

Groups that are due at the same moment are polled in one wake-up, and sent in the order of their
times: the spool does not keep a poll that is older than the one before it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import select
import signal
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from pattoo_mp import log
from pattoo_mp.collect import registry
from pattoo_mp.collect.changes import shortened
from pattoo_mp.collect.context import Watch
from pattoo_mp.collect.host import HostPaths
from pattoo_mp.collect.poller import Groups
from pattoo_mp.collect.schedule import Schedule
from pattoo_mp.config.values import Config
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import AHEAD_MS, now_ms
from pattoo_mp.timelimit.succession import Succession
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import FileDescriptorLike

    from pattoo_mp.collect.schedule import Tick
    from pattoo_mp.ipc.link import Link, Message
    from pattoo_mp.model import Layout, Origin, Poll

_LOG = logging.getLogger(__name__)


#: A group's first tick further away than this is not waited for: the group is polled at once (s).
_LONGEST_WAIT_S: Final = 10.0
#: psutil's documentation asks for at least this between two queries of the processors' shares (s).
_PRIMING_S: Final = 0.1
#: The most that waits here while control does not read (stopped, or starved of CPU time).
_UNSENT_BYTES: Final = 4 << 20
#: How long an ending collector waits for control to read the rest (s).
_FLUSH_S: Final = 2.0
#: The family whose figures come from control.
_AGENT: Final = "agent"

#: The shortest time slice that the kernel grants.
_SLICE_NS: Final = 100_000
#: The first version of `struct sched_attr`:
#: size, policy, flags, nice, priority, runtime, deadline, period.
_SCHED_ATTR: Final = struct.Struct("=IIQiIQQQ")
#: System call numbers from <asm/unistd.h>: only a recent glibc has a function for it.
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}


def collector(
    link: Link,
    origin: Origin,
    config: Config,
    after_ms: int,
    *,
    at_once: bool,
    adopt: Callable[[Config], None],
    begin: Callable[[str], None],
) -> Collector:
    """Return what the collector process of a program with families runs (`Program.collector`).

    Every program's collector is made with these arguments, those of `Collector`, and has `run`.
    """
    HostPaths.of(config).adopt()
    return Collector(link, origin, config, after_ms, at_once=at_once, adopt=adopt, begin=begin)


class Collector:
    """Polls on a schedule.

    `after_ms` is the newest tick of an earlier collector or agent; polls begin after it. With `at_once`,
    each group whose first tick is far away is polled now. `adopt` applies new settings to the process
    itself. `begin` is as for `Watch`.
    """

    def __init__(
        self,
        link: Link,
        origin: Origin,
        config: Config,
        after_ms: int,
        *,
        at_once: bool,
        adopt: Callable[[Config], None] = lambda _: None,
        begin: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._link = link
        self._config = config
        self._newest_ms = after_ms
        self._at_once = at_once
        self._adopt = adopt
        self._succession = Succession("polls", (signal.SIGTERM, signal.SIGINT), log.SIGNAL_ACTIONS)
        self._ledger: dict[str, dict[str, int]] = {}
        self._watch = Watch(begin)
        self._groups = Groups(origin, config, self._ledger, self._succession, self._watch)
        intervals_ms = self._groups.intervals_ms
        self._schedule = Schedule(intervals_ms, time.time_ns, time.monotonic_ns, after_ms)
        # Kept here, and not on a stack, for a successor of the polling thread.
        self._due: deque[Tick] = deque()
        self._renewal: tuple[int, Config] | None = None
        self._clock_check = ClockCheck()
        self._layouts: dict[int, Layout] = {}
        self._sent_left_out: dict[str, str] = {}
        self._is_blocked = False
        #: Intervals of which polls were lost while control did not read.
        self._lost_ms: set[int] = set()

    def run(self) -> None:
        """Poll until a signal comes or control ends."""
        registry.prime()
        priming_s = min(_PRIMING_S, self._config.shortest_s)
        self._schedule.skip_until(priming_s, _LONGEST_WAIT_S if self._at_once else None)
        try:
            self._succession.run(self._work)
        except LinkClosedError:
            _LOG.error("Control has exited; the collector exits.")

    def _work(self) -> None:
        """Poll what is due, then wait. A successor begins with what is not finished."""
        request_short_slice()
        while True:
            while self._due:
                self._poll(self._due[0])
                self._due.popleft()
            if self._renewal is not None:
                self._renew(*self._renewal)
                self._renewal = None
            if not self._wait():
                break
            self._due.extend(self._schedule.take())
        self._flush()

    def _poll(self, tick: Tick) -> None:
        self._clock_check.check(tick.timestamp_ms, now_ms())
        layout, poll = self._groups.poll(tick.interval_ms, tick.timestamp_ms)
        self._send(layout, poll, tick.reason or "")

    def _handle(self, message: Message) -> None:
        match message:
            case [Kind.SETTINGS, number, settings]:
                self._renewal = number, Config.of(settings)
            case [Kind.LEDGER, figures]:
                # An output may be gone. The groups keep this very object.
                self._ledger.clear()
                self._ledger.update(figures)
            case [Kind.AVOID, reasons]:
                self._watch.avoid(reasons)
            case _:
                _LOG.error("Unknown message from control: %.80r", message)

    def _renew(self, number: int, config: Config) -> None:
        """Apply new settings. Ticks that were due when they came were polled with the old ones."""
        before_ms = self._groups.intervals_ms
        self._groups.change(config)
        if self._groups.intervals_ms != before_ms:
            self._change_intervals()
        self._config = config
        self._adopt(config)
        self._link.send(Kind.APPLIED, number)

    def _change_intervals(self) -> None:
        intervals_ms = self._groups.intervals_ms
        after_ms = self._schedule.change(intervals_ms, self._newest_ms)
        self._link.send(Kind.INTERVALS, sorted(intervals_ms), after_ms)
        self._layouts.clear()  # control forgets the layouts of intervals that are gone

    def _send(self, layout: Layout, poll: Poll, reason: str) -> None:
        self._newest_ms, interval_ms = poll.timestamp_ms, layout.interval_ms
        if self._link.unsent_bytes > _UNSENT_BYTES:
            if not self._is_blocked:
                _LOG.error(
                    "Control (process %d) does not read; polls are lost until it does.",
                    os.getppid(),
                )
            self._is_blocked = True
            self._lost_ms.add(interval_ms)
            return
        self._is_blocked = False
        if interval_ms in self._lost_ms:
            self._lost_ms.remove(interval_ms)
            reason = "control did not read"
        self._send_layout(layout)
        self._link.send(
            Kind.POLL, poll.layout_id, poll.timestamp_ms, poll.packed, reason, interval_ms
        )
        left_out = shortened(self._groups.left_out)
        if left_out != self._sent_left_out:
            self._sent_left_out = left_out
            self._link.send(Kind.NOTE, left_out)
        if self._groups.has(_AGENT, interval_ms):
            self._link.send(Kind.LEDGER)

    def _send_layout(self, layout: Layout) -> None:
        """Send the layout if it is not the group's last one; of its parts, those that are new."""
        last = self._layouts.get(layout.interval_ms)
        if last is not None and layout.identifier == last.identifier:
            return
        known = {part.identifier for part in last.parts} if last else set()
        for part in layout.parts:
            if part.identifier not in known:
                self._link.send(Kind.PART, part.identifier, part.packed)
        self._link.send(Kind.LAYOUT, layout.identifier, layout.packed, layout.interval_ms)
        self._layouts[layout.interval_ms] = layout

    def _wait(self) -> bool:
        """Serve the link until there is something to do. False after a signal to end."""
        reading: list[FileDescriptorLike] = [self._succession.stopping, self._link]
        while True:
            writing = [self._link] if self._link.unsent_bytes else []
            readable, writable, _ = select.select(reading, writing, [], self._schedule.wait_s())
            if self._succession.stopping in readable:
                return False
            if writable:
                self._link.flush()
            if self._link in readable:
                for message in self._link.receive():
                    self._handle(message)
            if self._renewal or not (readable or writable):
                return True

    def _flush(self) -> None:
        """Send control the rest, if it reads."""
        until = time.monotonic() + _FLUSH_S
        while self._link.unsent_bytes and time.monotonic() < until:
            select.select([], [self._link], [], _FLUSH_S)
            self._link.flush()


class ClockCheck:
    """Logs when polls begin and cease to be ahead of the wall clock, which was set back.

    `schedule` explains why they are.
    """

    def __init__(self) -> None:
        self._is_ahead = False

    def check(self, tick_ms: int, now_ms: int) -> None:
        """Check a poll with the time `tick_ms`, made at `now_ms` by the wall clock."""
        is_ahead = tick_ms > now_ms + AHEAD_MS
        if is_ahead == self._is_ahead:
            return
        self._is_ahead = is_ahead
        if is_ahead:
            _LOG.warning(
                "Polls carry times %s ahead of this host's clock, which was set back, or was wrong "
                "before.",
                text.duration((tick_ms - now_ms) / 1000),
            )
        else:
            _LOG.warning("Polls carry the times of this host's clock again.")


def request_short_slice() -> bool:
    """Request short time slices for this thread and those that it starts. False if not possible.

    So a tick that is due is not delayed by a busy host. A process that uses a millisecond at each
    tick must wait for the slices of others, 2 to 3 ms each, before its own. Since Linux 6.12 a
    process can request the length of its slices, and one with short slices may begin them sooner.
    It gets no more CPU time than before, and no priority: see sched_setattr(2), sched(7).

    An older kernel accepts the request and ignores it. A scheduling policy other than the default
    was chosen by the operator, and remains.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _SCHED_ATTR.pack(
        _SCHED_ATTR.size, os.SCHED_OTHER, 0, nice, 0, _SLICE_NS, 0, 0
    )  # fmt: skip
    return bool(ctypes.CDLL(None).syscall(ctypes.c_long(number), 0, attributes, 0) == 0)
