"""The posting thread of an output: posts polls from the spool, oldest first, until accepted."""

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
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pacing import Backoff, Pace
from pattoo_mp.util.text import counted, duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.upload.delivery import Sender
    from pattoo_mp.upload.post import Attempt
    from pattoo_mp.upload.spooled import Outbox

_LOG = logging.getLogger(__name__)
_FOREVER: Final = float("inf")


class Drain:
    """The loop of the posting thread of an output.

    `report` gets the state whenever it changes. `report_trouble` gets a description of what is
    wrong on this host rather than on the server, and an empty string when that is over.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        report: Callable[[UploadState], None],
        report_trouble: Callable[[str], object] = lambda _: None,
        *,
        backoff: Backoff | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._servers = sender.servers
        self._make_deliverer = sender.deliverer
        self._legacy = sender.legacy
        self._report = report
        self._report_trouble = report_trouble
        self._outbox = outbox
        self._backoff = backoff or Backoff()
        self._pace = pace or Pace()
        self._had_nothing = False
        self._next_sender: Sender | None = None
        self._reset_delivery()
        self._changed = Condition()
        self._stopping = False
        #: The loop is rightly idle until then (`time.monotonic`). Later it is working, or stuck.
        self.idle_until = _FOREVER
        #: Replaced by the posting thread only. `report` adds what the servers and `legacy` know.
        self._state = UploadState()
        self._failing_since = 0.0
        self._trouble = ""

    def run(self) -> None:
        """Post until `stop` is called."""
        while self._wait(self._until_polls_s) and self._wait(self._until_due_s):
            try:
                self._post()
                self._check_failover()
            except StorageError as error:
                self._host_failed(f"the spool: {error}")
            except Exception as error:  # noqa: BLE001 - outermost loop of the thread: report and retry
                _LOG.exception("A post could not be made.")
                self._host_failed(f"{type(error).__name__}: {error}")
            self.report()

    def wake(self) -> None:
        """Announce new polls in the spool. A thread that waits for its next post goes on waiting."""
        with self._changed:
            if self._had_nothing:
                self._changed.notify_all()

    def change(self, offset_s: float, spacing_s: float, sender: Sender | None) -> None:
        """Apply new settings: the offset and spacing of posts, and another sender unless None.

        A post under way is finished with the old settings.
        """
        with self._changed:
            self._pace.offset_s, self._pace.spacing_s = offset_s, spacing_s
            self._next_sender = sender or self._next_sender
            self._changed.notify_all()

    def stop(self) -> None:
        """End the loop, cutting off an exchange under way. Unsent polls stay in the spool."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._servers.close()

    def report(self) -> None:
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
        """Return when the next attempt is due (ms since the epoch), or 0 if posts do not fail."""
        if not self._state.failing_since_ms or not self._delivery.waiting:
            return 0
        return now_ms() + round(1000 * self._until_due_s())

    def _reset_delivery(self) -> None:
        """Forget everything learned about the server: the back-off and the batch limits."""
        self._backoff.succeeded()
        server = self._servers.current
        self._delivery = self._make_deliverer(server, self._envelope_ms, self._backoff)

    def _wait(self, left_s: Callable[[], float]) -> bool:
        """Wait until `left_s` returns 0. Return False if the loop must end."""
        with self._changed:
            while not self._stopping:
                self._apply_new_sender()
                left = left_s()
                self.idle_until = time.monotonic() + left
                if not left:
                    return True
                self._changed.wait(None if left == _FOREVER else left)
            return False

    def _until_polls_s(self) -> float:
        if not self._delivery.waiting:
            self._had_nothing = True
            return _FOREVER
        if self._had_nothing:
            self._had_nothing = False
            self._pace.polls_arrived(time.monotonic())
        return 0.0

    def _until_due_s(self) -> float:
        return max(0.0, self._pace.not_before - time.monotonic())

    def _apply_new_sender(self) -> None:
        """Switch to the sender of the last `change`, if there is one."""
        if self._next_sender is not None:
            sender, self._next_sender = self._next_sender, None
            self._servers, self._make_deliverer = sender.servers, sender.deliverer
            self._state = replace(self._state, last_error="", last_error_ms=0, last_fault="")
            self._start_with_server()

    def _check_failover(self) -> None:
        """Switch to another server if it is time to."""
        self.idle_until = time.monotonic()
        if not self._stopping and self._servers.check_failover(self._envelope_ms):
            self._start_with_server()

    def _start_with_server(self) -> None:
        """Start with another server, which is not to blame for the failures of the last one."""
        self._reset_delivery()
        self._pace.server_changed()
        self._state = replace(self._state, failing_since_ms=0)
        self.report()

    def _post(self) -> None:
        started = time.monotonic()
        self._outbox.trouble = ""
        attempt = self._delivery.attempt()
        trouble = attempt.trouble if attempt else ""
        self._set_trouble(trouble or self._outbox.trouble)
        if attempt is None:
            return
        self._pace.note_attempt(attempt, started, time.monotonic())
        if attempt.trouble:
            if attempt.fault is Fault.NO_ROUTE:  # there may be one to another server
                self._servers.note_attempt(accepted=False)
            return
        self._servers.note_attempt(accepted=not attempt.error)
        if not attempt.error:
            self._succeeded(attempt)
        elif not self._stopping:
            self._failed(attempt)

    def _host_failed(self, trouble: str) -> None:
        now = time.monotonic()
        self._pace.note_attempt(self._delivery.host_failed(trouble), now, now)
        self._set_trouble(trouble)

    def _envelope_ms(self) -> int:
        return self._outbox.next_envelope_ms(now_ms())

    def _set_trouble(self, trouble: str) -> None:
        """Log and report trouble on this host, or its end; only when it changes."""
        if trouble == self._trouble:
            return
        if trouble:
            _LOG.error(
                "Posting has trouble on this host, not with the server: %s. Polls are sent as far as "
                "possible; retrying.",
                trouble,
            )
        else:
            _LOG.info("Posting has no more trouble on this host.")
        self._trouble = trouble
        self._report_trouble(trouble)

    def _succeeded(self, attempt: Attempt) -> None:
        before = self._state
        self._state = replace(
            before,
            posts=before.posts + 1,
            sent_bytes=before.sent_bytes + attempt.bytes_sent,
            last_post_ms=now_ms(),
            failing_since_ms=0,
        )
        failing_since, self._failing_since = self._failing_since, 0.0
        if before.failing_since_ms:
            log.write_counts()  # a count logged after the next line would look like another failure
            for_s = time.monotonic() - failing_since  # the wall clock may have been set meanwhile
            _LOG.info("%s accepts posts again, after %d s.", self._servers.current.url, for_s)
        _LOG.debug(
            "Delivered %s in %d bytes; %d waiting.",
            counted(attempt.polls, "poll"),
            attempt.bytes_sent,
            self._outbox.waiting,
        )

    def _failed(self, attempt: Attempt) -> None:
        failed_ms = now_ms()
        if not self._state.failing_since_ms:
            self._failing_since = time.monotonic()
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
            counted(self._outbox.waiting, "poll"),
            duration(self._until_due_s()),
            # The first line of each failure is written at once; its repeats are only counted.
            extra=log.grouped_as(f"{attempt.error} since {self._state.failing_since_ms}"),
        )
