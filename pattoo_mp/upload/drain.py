"""Drains the spool to the server: oldest first, one post at a time, never giving up a poll."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from threading import Condition
from typing import TYPE_CHECKING, Final

from pattoo_mp import log
from pattoo_mp.ipc.messages import UploadState
from pattoo_mp.model import now_ms
from pattoo_mp.spool.store import StorageError
from pattoo_mp.upload.delivery import Delivery
from pattoo_mp.upload.pacing import Backoff, Pace
from pattoo_mp.upload.spooled import Outbox, SpooledPosts
from pattoo_mp.util.text import counted, duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.spool.store import Spool
    from pattoo_mp.upload.failover import Servers
    from pattoo_mp.upload.pattoo.legacy import LegacyPosts
    from pattoo_mp.upload.post import Attempt, Encode, Source

_LOG = logging.getLogger(__name__)
_FOR_EVER: Final = float("inf")


class Drain:
    """The loop of the posting thread. `report` is given the state whenever it changes.

    `complain` is given what this host, and not the server, is at fault for, and nothing once that is
    over. What `legacy` has goes before what the spool has.
    """

    def __init__(
        self,
        spool: Spool,
        servers: Servers,
        report: Callable[[UploadState], None],
        complain: Callable[[str], object] = lambda _: None,
        *,
        encode: Encode,
        legacy: LegacyPosts | None = None,
        backoff: Backoff | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._spool = spool
        self._servers = servers
        self._report = report
        self._complain = complain
        self._outbox = Outbox(spool)
        self._encode = encode
        self._legacy = legacy
        self._backoff = backoff or Backoff()
        self._pace = pace or Pace()
        self._is_idle = False
        self._next_servers: Servers | None = None
        self._begin()
        self._changed = Condition()
        self._stopping = False
        #: Until when (`time.monotonic`) this loop does nothing, and should not: past it, it works.
        self.idle_until = _FOR_EVER
        #: Replaced by the posting thread only. `tell` adds what the servers and `legacy` know.
        self._state = UploadState()
        self._trouble = ""

    def run(self) -> None:
        """Post until `stop`."""
        while self._wait(self._until_polls_s) and self._wait(self._until_time_s):
            try:
                self._post()
                self._reconsider()
            except StorageError as error:
                self._broken(f"the spool: {error}")
            except Exception as error:  # noqa: BLE001 - this thread's outermost loop: told, and tried again
                _LOG.exception("A post could not be made.")
                self._broken(f"{type(error).__name__}: {error}")
            self.tell()

    def wake(self) -> None:
        """Say that the spool holds something new."""
        with self._changed:
            self._changed.notify_all()

    def change(self, offset_s: float, spacing_s: float, servers: Servers | None) -> None:
        """Post at another moment after a poll, so far apart, and to other servers if any are given.

        The post that is under way is finished by whoever has it; the next one is by the new settings.
        """
        with self._changed:
            self._pace.offset_s, self._pace.spacing_s = offset_s, spacing_s
            self._next_servers = servers or self._next_servers
            self._changed.notify_all()

    def stop(self) -> None:
        """End the loop, in the middle of an exchange if need be. What is not sent stays."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._servers.close()

    def tell(self) -> None:
        """Report the state."""
        state = replace(
            self._state,
            server=self._servers.current.url,
            instead_of=self._servers.instead_of,
            next_post_ms=self._next_post_ms(),
        )
        if self._legacy is not None:
            state = replace(
                state,
                old_waiting=self._legacy.waiting,
                old_taken=self._legacy.taken,
                old_bad=self._legacy.bad + self._legacy.refused,
            )
        self._report(state)

    def _next_post_ms(self) -> int:
        if not self._state.failing_since_ms or not self._delivery.waiting:
            return 0
        return now_ms() + round(1000 * self._until_time_s())

    def _begin(self) -> None:
        """Begin with a server of which nothing is known yet."""
        sources: list[Source] = [SpooledPosts(self._outbox, self._envelope_ms, self._encode)]
        if self._legacy is not None:
            sources.insert(0, self._legacy.source(self._envelope_ms))
        self._backoff.succeeded()
        self._delivery = Delivery(sources, self._servers.current, self._envelope_ms, self._backoff)

    def _wait(self, left_s: Callable[[], float]) -> bool:
        """Wait as long as there is something to wait for. False if this loop is to end."""
        with self._changed:
            while not self._stopping:
                self._take_up()
                left = left_s()
                self.idle_until = time.monotonic() + left
                if not left:
                    return True
                self._changed.wait(None if left == _FOR_EVER else left)
            return False

    def _until_polls_s(self) -> float:
        if not self._delivery.waiting:
            self._is_idle = True
            return _FOR_EVER
        if self._is_idle:
            self._is_idle = False
            self._pace.polls_arrived(time.monotonic())
        return 0.0

    def _until_time_s(self) -> float:
        return max(0.0, self._pace.not_before - time.monotonic())

    def _take_up(self) -> None:
        """Go on with the servers of the last `change`."""
        if self._next_servers is not None:
            self._servers, self._next_servers = self._next_servers, None
            self._state = replace(self._state, last_error="", last_error_ms=0, last_fault="")
            self._go_over()

    def _reconsider(self) -> None:
        """See whether another server is to get the next post."""
        self.idle_until = time.monotonic()
        if not self._stopping and self._servers.check_failover(self._envelope_ms):
            self._go_over()

    def _go_over(self) -> None:
        """Begin with another server; what the last one did is no fault of its."""
        self._begin()
        self._pace.server_changed()
        self._state = replace(self._state, failing_since_ms=0)
        self.tell()

    def _post(self) -> None:
        started = time.monotonic()
        self._outbox.trouble = ""
        attempt = self._delivery.attempt()
        trouble = attempt.trouble if attempt else ""
        self._tell_trouble(trouble or self._outbox.trouble)
        if attempt is None:
            return
        self._pace.note_attempt(attempt, started, time.monotonic())
        if attempt.trouble:
            return
        self._servers.note_attempt(accepted=not attempt.error)
        if not attempt.error:
            self._succeeded(attempt)
        elif not self._stopping:
            self._failed(attempt)

    def _broken(self, trouble: str) -> None:
        now = time.monotonic()
        self._pace.note_attempt(self._delivery.broken(trouble), now, now)
        self._tell_trouble(trouble)

    def _envelope_ms(self) -> int:
        return self._outbox.next_envelope_ms(now_ms())

    def _tell_trouble(self, trouble: str) -> None:
        """Say what this host is at fault for, or that it is over; once each."""
        if trouble == self._trouble:
            return
        if trouble:
            _LOG.error(
                "Posts have trouble on this host, whatever the server does: %s. What can be sent is "
                "sent; tried again until it is over.",
                trouble,
            )
        else:
            _LOG.info("Posts have no more trouble on this host.")
        self._trouble = trouble
        self._complain(trouble)

    def _succeeded(self, attempt: Attempt) -> None:
        before = self._state
        self._state = replace(
            before,
            posts=before.posts + 1,
            sent_bytes=before.sent_bytes + attempt.bytes_sent,
            last_post_ms=now_ms(),
            failing_since_ms=0,
        )
        if before.failing_since_ms:
            log.tell_counts()  # a count that came after this would look like another failure
            for_s = (self._state.last_post_ms - before.failing_since_ms) // 1000
            _LOG.info("%s takes polls again, after %d s.", self._servers.current.url, for_s)
        _LOG.debug(
            "%s delivered in %d bytes, waiting: %d.",
            counted(attempt.polls, "poll"),
            attempt.bytes_sent,
            self._spool.waiting,
        )

    def _failed(self, attempt: Attempt) -> None:
        failed_ms = now_ms()
        self._state = replace(
            self._state,
            last_error=attempt.error,
            last_error_ms=failed_ms,
            last_fault=attempt.fault.name.lower(),
            failing_since_ms=self._state.failing_since_ms or failed_ms,
        )
        _LOG.warning(
            "%s: %s. Waiting: %s; next attempt in %s.",
            self._servers.current.url,
            attempt.error,
            counted(self._spool.waiting, "poll"),
            duration(self._until_time_s()),
            # The first of each failure is written at once, the others of it are counted.
            extra=log.alike(f"{attempt.error} since {self._state.failing_since_ms}"),
        )
