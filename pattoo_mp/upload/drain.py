"""Drains the spool to the server: oldest first, one post at a time, never giving up a poll."""

from __future__ import annotations

import logging
import time
from threading import Condition
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.messages import UploadState
from pattoo_mp.spool.store import StorageError
from pattoo_mp.upload.backoff import Backoff
from pattoo_mp.upload.batch import POLLS, first_post
from pattoo_mp.wire.encode import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.spool.store import Spool, Spooled
    from pattoo_mp.upload.transport import Transport

_LOG = logging.getLogger(__name__)

#: No server is posted to more often than this, however often the host is polled.
_SPACING_S: Final = 1.0


class Drain:
    """The loop of the posting thread. `report` is given the state whenever it changes."""

    def __init__(
        self,
        spool: Spool,
        transport: Transport,
        interval_ms: int,
        report: Callable[[UploadState], None],
    ) -> None:
        self._spool = spool
        self._transport = transport
        self._spacing_s = max(_SPACING_S, interval_ms / 1000)
        self._report = report
        self._backoff = Backoff()
        self._changed = Condition()
        self._stopping = False
        self._not_before = 0.0
        self._delivered = 0
        self._posts = 0
        self._last_post_ms = 0
        self._error = ""
        self._error_ms = 0
        self._failing_since_ms = 0

    def run(self) -> None:
        """Post until `stop`."""
        while self._wait_for_polls() and self._wait_for_time():
            try:
                self._post()
            except StorageError as error:
                self._failed(f"the spool: {error}")
            except Exception as error:  # noqa: BLE001 - this thread's outermost loop: told, and tried again
                _LOG.exception("A post could not be made.")
                self._failed(f"{type(error).__name__}: {error}")
            self.tell()

    def wake(self) -> None:
        """Say that the spool holds something new."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """End the loop, in the middle of an exchange if need be. What is not sent stays."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._transport.close()

    def tell(self) -> None:
        """Report the state."""
        self._report(
            UploadState(
                waiting=self._spool.waiting,
                delivered=self._delivered,
                posts=self._posts,
                quarantined=self._spool.quarantined,
                last_post_ms=self._last_post_ms,
                last_error=self._error,
                last_error_ms=self._error_ms,
                failing_since_ms=self._failing_since_ms,
            )
        )

    def _wait_for_polls(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._spool.waiting)
            return not self._stopping

    def _wait_for_time(self) -> bool:
        with self._changed:
            left = self._not_before - time.monotonic()
            self._changed.wait_for(lambda: self._stopping, timeout=max(0.0, left))
            return not self._stopping

    def _post(self) -> None:
        started = time.monotonic()
        try:
            post = first_post(self._spool.oldest(POLLS), self._spool.layout)
            body = self._encode(post)
        except WireError:
            self._set_aside_unreadable()
            return
        first = self._spool.layout(post[0].poll.layout_id)
        outcome = self._transport.post(first.origin.agent_id, body)
        if self._stopping and not outcome.delivered:
            return
        if outcome.delivered:
            self._delivered += self._spool.acknowledge(post[-1].id)
            self._succeeded(len(post), len(body))
            self._not_before = started + self._spacing_s
        else:
            self._failed(outcome.error)
            self._not_before = max(self._not_before, started + _SPACING_S)

    def _encode(self, post: list[Spooled]) -> bytes:
        layouts = {s.poll.layout_id: self._spool.layout(s.poll.layout_id) for s in post}
        envelope_ms = self._spool.next_envelope_ms(time.time_ns() // 1_000_000)
        return encode(layouts, [s.poll for s in post], envelope_ms)

    def _succeeded(self, polls: int, size: int) -> None:
        self._posts += 1
        self._last_post_ms = time.time_ns() // 1_000_000
        self._backoff.succeeded()
        if self._failing_since_ms:
            _LOG.info("%s takes polls again.", self._transport.url)
            self._failing_since_ms = 0
        _LOG.debug("%d polls delivered in %d bytes, %d wait.", polls, size, self._spool.waiting)

    def _failed(self, error: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        delay_s = self._backoff.failed()
        self._not_before = time.monotonic() + delay_s
        if error != self._error or not self._failing_since_ms:
            _LOG.warning(
                "%s: %s. %d polls wait; trying again until they are taken.",
                self._transport.url,
                error,
                self._spool.waiting,
            )
        self._error, self._error_ms = error, now_ms
        self._failing_since_ms = self._failing_since_ms or now_ms

    def _set_aside_unreadable(self) -> None:
        """Move what no release can read out of the way of all that comes after it."""
        for spooled in self._spool.oldest(POLLS):
            try:
                layout = self._spool.layout(spooled.poll.layout_id)
                encode({layout.identifier: layout}, [spooled.poll], 0)
            except WireError as error:
                _LOG.error("The poll of %d ms is set aside: %s", spooled.poll.timestamp_ms, error)
                self._spool.set_aside(spooled.id, str(error))
