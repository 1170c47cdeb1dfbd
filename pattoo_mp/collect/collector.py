"""The collector process: polls at each tick and hands the poll to control. It waits for nobody."""

from __future__ import annotations

import logging
import select
import signal
import time
from typing import TYPE_CHECKING, Final

from pattoo_mp import log
from pattoo_mp.collect import families
from pattoo_mp.collect.poller import Poller
from pattoo_mp.collect.schedule import Schedule
from pattoo_mp.link import LinkClosedError
from pattoo_mp.messages import Kind
from pattoo_mp.wakeup import Wakeup

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

    from pattoo_mp.collect.schedule import Tick
    from pattoo_mp.link import Link
    from pattoo_mp.model import Layout, Origin, Poll

_LOG = logging.getLogger(__name__)

#: A first tick further away than this is not waited for: one poll is made at once.
_PATIENCE_S: Final = 10.0
#: psutil's documentation asks for at least this between two looks at the processor's shares.
_PRIMING_S: Final = 0.1
#: What may wait in this process while control does not read (stopped, or starved of processor).
_UNSENT_BYTES: Final = 4 << 20
#: How long an ending collector waits for control to read the last of it.
_FLUSH_S: Final = 2.0


class Collector:
    """Polls on a schedule.

    `after_ms` is the newest poll there is, of an earlier collector or agent; none at or before it
    comes again. `at_once` asks for a first poll now if the first tick is far away.
    """

    def __init__(
        self, link: Link, origin: Origin, interval_ms: int, after_ms: int, *, at_once: bool
    ) -> None:
        self._link = link
        self._interval_s = interval_ms / 1000
        self._at_once = at_once
        self._wakeup = Wakeup((signal.SIGTERM, signal.SIGINT), log.CHORES)
        sources = families.sources(families.time_limit_s(self._interval_s))
        self._poller = Poller(sources, origin, interval_ms)
        self._schedule = Schedule(interval_ms, time.time_ns, time.monotonic_ns, after_ms)
        self._layout_id = ""
        self._told: dict[str, str] = {}
        self._unread = False

    def run(self) -> None:
        """Poll until a signal or the end of control."""
        families.prime()
        self._schedule.skip_until(min(_PRIMING_S, self._interval_s))
        try:
            if self._at_once and self._schedule.wait_s() > _PATIENCE_S:
                self._poll_at_once()
            while self._wait(self._schedule.wait_s()):
                tick = self._schedule.take()
                if tick is not None:
                    self._poll(tick)
            self._flush()
        except LinkClosedError:
            _LOG.error("Control is gone; the collector ends.")

    def _poll_at_once(self) -> None:
        if self._wait(_PRIMING_S):
            self._hand_over(*self._poller.poll(self._schedule.now_ms()), "")

    def _poll(self, tick: Tick) -> None:
        self._hand_over(*self._poller.poll(tick.timestamp_ms), tick.reason or "")

    def _hand_over(self, layout: Layout, poll: Poll, reason: str) -> None:
        if self._link.unsent_bytes > _UNSENT_BYTES:
            if not self._unread:
                _LOG.error("Control does not read; polls are lost until it does.")
            self._unread = True
            return
        if self._unread:
            self._unread, reason = False, "control did not read"
        if layout.identifier != self._layout_id:
            self._link.send(Kind.LAYOUT, layout.identifier, layout.packed)
            self._layout_id = layout.identifier
        self._link.send(Kind.POLL, poll.layout_id, poll.timestamp_ms, poll.packed, reason)
        if self._poller.left_out != self._told:
            self._told = self._poller.left_out
            self._link.send(Kind.NOTE, self._told)

    def _wait(self, seconds: float) -> bool:
        """Wait, and serve the link meanwhile. False once a signal asks this process to end."""
        until = time.monotonic() + seconds
        reading: list[FileDescriptorLike] = [self._wakeup, self._link]
        while True:
            writing = [self._link] if self._link.unsent_bytes else []
            left = max(0.0, until - time.monotonic())
            readable, writable, _ = select.select(reading, writing, [], left)
            if self._wakeup in readable and self._wakeup.take():
                return False
            if writable:
                self._link.flush()
            if self._link in readable:
                self._link.receive()  # nothing is said to the collector; it may be the end
            if not readable and not writable:
                return True

    def _flush(self) -> None:
        """Give control what it has not read yet, if it reads."""
        until = time.monotonic() + _FLUSH_S
        while self._link.unsent_bytes and time.monotonic() < until:
            select.select([], [self._link], [], _FLUSH_S)
            self._link.flush()
