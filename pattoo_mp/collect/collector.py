"""Says in the log when polls carry times that are to come, and when they no longer do."""

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


class Ahead:
    """Whether the schedule is ahead of the wall clock, which was set back (see `schedule`)."""

    def __init__(self) -> None:
        self._is_told = False

    def look(self, tick_ms: int, now_ms: int) -> None:
        """Note a poll of the time `tick_ms`, made at `now_ms` by the wall clock."""
        is_ahead = tick_ms > now_ms + AHEAD_MS
        if is_ahead == self._is_told:
            return
        self._is_told = is_ahead
        if is_ahead:
            _LOG.warning(
                "Polls carry times that are %s ahead of this host's clock, which was set back, or was "
                "wrong before.",
                text.duration((tick_ms - now_ms) / 1000),
            )
        else:
            _LOG.warning("Polls carry the times of this host's clock again.")


# Asks the kernel for short turns, so that a tick that is due is not kept waiting by a busy host.
#
# A process that uses a millisecond at each tick has to wait for others' turns (2 to 3 ms each) before
# its own. Linux since 6.12 takes the length of a turn that a process wants, and lets one that wants
# short turns begin them sooner. It gets no more processor time than before, and no priority: see
# sched_setattr(2), sched(7).

#: The shortest that the kernel grants.
_TURN_NS: Final = 100_000
#: size, policy, flags, nice, priority, runtime, deadline, period: `struct sched_attr`, first version.
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
#: glibc has had no function for it until lately; the numbers are from <asm/unistd.h>.
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}


def request_short_slice() -> bool:
    """Ask for this thread, and those that it starts. False where that cannot be asked.

    An older kernel takes the question and changes nothing. Another policy than the usual one was
    chosen by a person, and stays.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    filters = _ATTRIBUTES.pack(
        _ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, _TURN_NS, 0, 0
    )  # fmt: skip
    return bool(ctypes.CDLL(None).syscall(ctypes.c_long(number), 0, filters, 0) == 0)


# The collector process: polls at each tick and hands the polls to control. It waits for nobody.
#
# The main thread only waits: another polls, so that it can be left behind where a mount hangs, and a
# successor goes on (`timelimit/succession.py`).
#
# What is due at the same moment is polled by one wake-up, and handed over in the order of its times:
# the spool keeps no poll that is older than one before it.

#: A group's first tick further away than this is not waited for: it is polled once at once.
_PATIENCE_S: Final = 10.0
#: psutil's documentation asks for at least this between two looks at the processor's shares.
_PRIMING_S: Final = 0.1
#: What may wait in this process while control does not read (stopped, or starved of processor).
_UNSENT_BYTES: Final = 4 << 20
#: How long an ending collector waits for control to read the last of it.
_FLUSH_S: Final = 2.0
#: The family whose figures are control's.
_AGENT: Final = "agent"


class Collector:
    """Polls on a schedule.

    `after_ms` is the newest poll there is, of an earlier collector or agent; none at or before it
    comes again. `at_once` asks for a first poll now of each group whose first tick is far away.
    `adopt` does what new settings ask of the process itself.
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
    ) -> None:
        self._link = link
        self._config = config
        self._newest_ms = after_ms
        self._at_once = at_once
        self._adopt = adopt
        self._succession = Succession("polls", (signal.SIGTERM, signal.SIGINT), log.CHORES)
        self._ledger: dict[str, int] = {}
        self._groups = Groups(origin, config, self._ledger, self._succession)
        intervals_ms = self._groups.intervals_ms
        self._schedule = Schedule(intervals_ms, time.time_ns, time.monotonic_ns, after_ms)
        self._due: deque[Tick] = deque()
        self._renewal: tuple[int, Config] | None = None
        self._ahead = Ahead()
        self._layout_ids: dict[int, str] = {}
        self._told: dict[str, str] = {}
        self._unread = False
        self._lost_ms: set[int] = set()

    def run(self) -> None:
        """Poll until a signal or the end of control."""
        registry.prime()
        priming_s = min(_PRIMING_S, self._config.shortest_s)
        self._schedule.skip_until(priming_s, _PATIENCE_S if self._at_once else None)
        try:
            self._succession.run(self._work)
        except LinkClosedError:
            _LOG.error("Control is gone; the collector ends.")

    def _work(self) -> None:
        """Do what is due, and wait for more. A successor begins with what was not finished."""
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
        self._ahead.look(tick.timestamp_ms, now_ms())
        layout, poll = self._groups.poll(tick.interval_ms, tick.timestamp_ms)
        self._hand_over(layout, poll, tick.reason or "")

    def _handle(self, message: Message) -> None:
        match message:
            case [Kind.SETTINGS, number, settings]:
                self._renewal = number, Config.of(settings)
            case [Kind.LEDGER, figures]:
                self._ledger.update(figures)
            case _:
                _LOG.error("A message that is not understood: %.80r", message)

    def _renew(self, number: int, config: Config) -> None:
        """Go on with other settings. What was due when they came was polled by the old ones."""
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
        self._layout_ids.clear()  # control forgets those of intervals that are gone

    def _hand_over(self, layout: Layout, poll: Poll, reason: str) -> None:
        self._newest_ms, interval_ms = poll.timestamp_ms, layout.interval_ms
        if self._link.unsent_bytes > _UNSENT_BYTES:
            if not self._unread:
                _LOG.error(
                    "Control (process %d) does not read; polls are lost until it does.",
                    os.getppid(),
                )
            self._unread = True
            self._lost_ms.add(interval_ms)
            return
        self._unread = False
        if interval_ms in self._lost_ms:
            self._lost_ms.remove(interval_ms)
            reason = "control did not read"
        if layout.identifier != self._layout_ids.get(interval_ms):
            self._link.send(Kind.LAYOUT, layout.identifier, layout.packed, interval_ms)
            self._layout_ids[interval_ms] = layout.identifier
        self._link.send(
            Kind.POLL, poll.layout_id, poll.timestamp_ms, poll.packed, reason, interval_ms
        )
        left_out = self._groups.left_out
        if left_out != self._told:
            self._told = left_out
            self._link.send(Kind.NOTE, self._told)
        if self._groups.has(_AGENT, interval_ms):
            self._link.send(Kind.LEDGER)

    def _wait(self) -> bool:
        """Serve the link until there is something to do. False once a signal asks to end."""
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
        """Give control what it has not read yet, if it reads."""
        until = time.monotonic() + _FLUSH_S
        while self._link.unsent_bytes and time.monotonic() < until:
            select.select([], [self._link], [], _FLUSH_S)
            self._link.flush()
