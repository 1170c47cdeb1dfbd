"""The collector process: polls at each tick and hands the poll to control. It waits for nobody."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Final

from pattoo_mp import log
from pattoo_mp.collect import families
from pattoo_mp.collect.poller import Poller
from pattoo_mp.collect.promptness import ask_for_short_turns
from pattoo_mp.collect.schedule import Schedule
from pattoo_mp.collect.wanted import Wanted
from pattoo_mp.config import Config
from pattoo_mp.link import LinkClosedError
from pattoo_mp.messages import Kind
from pattoo_mp.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import FileDescriptorLike

    from pattoo_mp.collect.schedule import Tick
    from pattoo_mp.collect.source import Source
    from pattoo_mp.link import Link, Message
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
#: The family whose figures are control's.
_AGENT: Final = "agent"


class Collector:
    """Polls on a schedule.

    `after_ms` is the newest poll there is, of an earlier collector or agent; none at or before it
    comes again. `at_once` asks for a first poll now if the first tick is far away. `adopt` does
    what new settings ask of the process itself.
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
        self._wakeup = Wakeup((signal.SIGTERM, signal.SIGINT), log.CHORES)
        self._wanted = Wanted.of(config.fields())
        self._ledger: dict[str, int] = {}
        self._poller = Poller(self._sources(self._wanted), origin, config.interval_ms)
        self._schedule = Schedule(config.interval_ms, time.time_ns, time.monotonic_ns, after_ms)
        self._layout_id = ""
        self._told: dict[str, str] = {}
        self._unread = False

    def run(self) -> None:
        """Poll until a signal or the end of control."""
        ask_for_short_turns()
        families.prime()
        self._schedule.skip_until(min(_PRIMING_S, self._config.interval_ms / 1000))
        try:
            if self._at_once and self._schedule.wait_s() > _PATIENCE_S:
                self._poll_at_once()
            while self._wait(self._schedule.wait_s):
                self._poll_what_is_due()
            self._flush()
        except LinkClosedError:
            _LOG.error("Control is gone; the collector ends.")

    def _poll_at_once(self) -> None:
        until = time.monotonic() + _PRIMING_S
        primed = self._wait(lambda: max(0.0, until - time.monotonic()))
        # New settings may have brought a tick meanwhile: that one is as good.
        if primed and self._schedule.wait_s() > 0:
            self._hand_over(*self._poller.poll(self._schedule.now_ms()), "")

    def _poll_what_is_due(self) -> None:
        tick = self._schedule.take()
        if tick is not None:
            self._poll(tick)

    def _poll(self, tick: Tick) -> None:
        self._hand_over(*self._poller.poll(tick.timestamp_ms), tick.reason or "")

    def _handle(self, message: Message) -> None:
        match message:
            case [Kind.SETTINGS, number, settings]:
                self._apply(Config.of(settings))
                self._link.send(Kind.APPLIED, number)
            case [Kind.LEDGER, figures]:
                self._ledger.update(figures)
            case _:
                _LOG.error("A message that is not understood: %.80r", message)

    def _apply(self, config: Config) -> None:
        """Go on with other settings. It is between two polls, in the thread that polls."""
        if config.interval_ms != self._config.interval_ms:
            self._poll_what_is_due()  # by the settings that were in force when it fell due
            self._change_interval(config.interval_ms)
        self._config = config
        self._change_wanted(Wanted.of(config.fields()))
        self._adopt(config)

    def _change_interval(self, interval_ms: int) -> None:
        families.wait_at_most(families.time_limit_s(interval_ms / 1000), self._poller.sources)
        self._poller.interval_ms = interval_ms
        after_ms = self._schedule.change(interval_ms, self._newest_ms)
        self._link.send(Kind.INTERVAL, interval_ms, after_ms)

    def _change_wanted(self, wanted: Wanted) -> None:
        if wanted != self._wanted:
            self._wanted = wanted
            self._poller.change_sources(self._sources(wanted))

    def _sources(self, wanted: Wanted) -> tuple[Source, ...]:
        limit_s = families.time_limit_s(self._config.interval_ms / 1000)
        return families.sources(limit_s, wanted, frugal=True, ledger=self._ledger)

    def _hand_over(self, layout: Layout, poll: Poll, reason: str) -> None:
        self._newest_ms = poll.timestamp_ms
        if self._link.unsent_bytes > _UNSENT_BYTES:
            if not self._unread:
                _LOG.error(
                    "Control (process %d) does not read; polls are lost until it does.",
                    os.getppid(),
                )
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
        if _AGENT in self._wanted.families:
            self._link.send(Kind.LEDGER)

    def _wait(self, left_s: Callable[[], float]) -> bool:
        """Serve the link until no time is left. False once a signal asks this process to end."""
        reading: list[FileDescriptorLike] = [self._wakeup, self._link]
        while True:
            writing = [self._link] if self._link.unsent_bytes else []
            readable, writable, _ = select.select(reading, writing, [], left_s())
            if self._wakeup in readable and self._wakeup.take():
                return False
            if writable:
                self._link.flush()
            if self._link in readable:
                for message in self._link.receive():
                    self._handle(message)
            if not readable and not writable:
                return True

    def _flush(self) -> None:
        """Give control what it has not read yet, if it reads."""
        until = time.monotonic() + _FLUSH_S
        while self._link.unsent_bytes and time.monotonic() < until:
            select.select([], [self._link], [], _FLUSH_S)
            self._link.flush()
