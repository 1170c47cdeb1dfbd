"""The uploader process: takes polls off the channel into the spool, and drains the spool.

Two threads: this one takes and keeps, the other posts. So a hung post never stops the taking.
"""

from __future__ import annotations

import contextlib
import logging
import select
import signal
import time
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from pattoo_mp import log
from pattoo_mp.config.values import Config
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind, UploadState
from pattoo_mp.model import Poll, now_ms
from pattoo_mp.spool.store import Spool, StorageError
from pattoo_mp.upload.drain import Drain
from pattoo_mp.upload.exchange import HAS_TLS
from pattoo_mp.upload.pacing import Pace, offset_s
from pattoo_mp.upload.report import spool_limits
from pattoo_mp.util.signals import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import FileDescriptorLike

    from pattoo_mp.ipc.link import Link, Message
    from pattoo_mp.spool.store import Spool
    from pattoo_mp.upload.failover import Servers
    from pattoo_mp.upload.pattoo.legacy import LegacyPosts
    from pattoo_mp.upload.post import Encode

_LOG = logging.getLogger(__name__)

#: Half of what a socket takes before its other side has to wait (`net.core.wmem_default`).
_UNREAD_BYTES: Final = 100_000
#: What a message costs the kernel beside a poll's values.
_OVERHEAD_BYTES: Final = 1_000

#: How long to leave a disk alone that did not take a commit.
_RETRY_S: Final = 1.0
#: More than all the bounds of one attempt together: connection, exchange, status page, empty post.
_POSTING_S: Final = 180.0
#: How long every message is read at once after a signal: longer than a stop takes.
_ATTENTIVE_S: Final = 15.0
_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
#: How long an uploader that was asked to end waits for control's leave to do so.
_LEAVE_S: Final = 2.0


class StuckError(Exception):
    """The posting thread hangs; only a new process helps."""


class Uploader:
    """Runs until control closes the channel or is gone, or a signal asks it to end.

    `adopt` does what new settings ask of the process itself.
    """

    def __init__(
        self,
        link: Link,
        config: Config,
        spool: Spool,
        channel: str,
        agent_id: str,
        *,
        servers: Callable[[Config], Servers],
        encode: Encode,
        legacy: LegacyPosts | None = None,
        adopt: Callable[[Config], None] = lambda _: None,
    ) -> None:
        self._link = link
        self._config = config
        self._adopt = adopt
        self._spool = spool
        self._spool.limits = spool_limits(config)
        self._channel = channel
        self._agent_id = agent_id
        self._wakeup = Wakeup((*_ENDING, signal.SIGCONT), log.CHORES)
        self._servers = servers
        self._drain = Drain(
            spool,
            servers(config),
            self._report,
            partial(self._note, "posts"),
            encode=encode,
            legacy=legacy,
            pace=Pace(offset_s(agent_id, config.jitter_s), config.spacing_s),
        )
        self._held: list[tuple[int, Poll]] = []
        #: Those of the last polls that were kept, and of what is held.
        self._layouts: dict[str, bytes] = {}
        #: Those whose first poll has not come yet: the two are messages of their own.
        self._announced: set[str] = set()
        self._book = ""
        self._reporting = Lock()
        self._commit_at = 0.0
        self._rest_until = 0.0
        self._attentive_until = 0.0
        self._ends_at: float | None = None
        self._closed = False
        self._notes: dict[str, str] = {}

    def run(self) -> None:
        """Take and post."""
        posting = Thread(target=self._drain.run, name="drain", daemon=True)
        posting.start()
        try:
            self._drain.report()
            while not self._closed and not self._overstayed():
                self._wait()
                self._take()
                self._commit_if_due()
                self._check_posting()
        except LinkClosedError:
            _LOG.error("Control is gone; the uploader keeps what it has and ends.")
        self._drain.stop()
        self._commit_now()
        posting.join(timeout=_LEAVE_S)
        if not posting.is_alive():
            self._spool.close()

    def _wait(self) -> None:
        reading: list[FileDescriptorLike] = [self._wakeup]
        if not self._rests():
            reading.append(self._link)
        writing = [self._link] if self._link.unsent_bytes else []
        readable, writable, _ = select.select(reading, writing, [], self._next_step_s())
        if writable:
            self._link.flush()
        if self._wakeup in readable:
            self._notice(self._wakeup.take())

    def _notice(self, signals: set[signal.Signals]) -> None:
        if signals:
            # Control says by SIGCONT that it stops, the kernel that control is gone: no rest now.
            self._attentive_until = time.monotonic() + _ATTENTIVE_S
        if signals & _ENDING and self._ends_at is None:
            self._ends_at = time.monotonic() + _LEAVE_S
            self._drain.stop()
            self._send(Kind.LEAVING)

    def _rests(self) -> bool:
        return self._attentive_until <= time.monotonic() < self._rest_until

    def _next_step_s(self) -> float | None:
        moments = [self._commit_at] if self._held else []
        if self._rests():
            moments.append(self._rest_until)
        if self._ends_at is not None:
            moments.append(self._ends_at)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _overstayed(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _take(self) -> None:
        for message in self._link.receive():
            self._handle(message)

    def _handle(self, message: Message) -> None:
        match message:
            case [Kind.LAYOUT, identifier, packed]:
                self._layouts[identifier] = packed
                self._announced.add(identifier)
            case [Kind.POLL, sequence, layout_id, timestamp_ms, packed]:
                self._held.append((sequence, Poll(layout_id, timestamp_ms, packed)))
                self._announced.discard(layout_id)
            case [Kind.LEDGER_SNAPSHOT, book]:
                self._book = book
            case [Kind.CLOSE]:
                self._closed = True
            case [Kind.SETTINGS, number, settings]:
                self._renew(number, Config.of(settings))
            case _:
                _LOG.error("A message that is not understood: %.80r", message)

    def _renew(self, number: int, config: Config) -> None:
        if config.needs_tls and not HAS_TLS:
            _LOG.info("The new settings take TLS: the uploader ends, and the next one has it.")
            self._closed = True
            return
        self._apply(config)
        self._send(Kind.APPLIED, number)

    def _apply(self, config: Config) -> None:
        """Go on with other settings: from the next commit, and from the next post on."""
        self._spool.limits = spool_limits(config)
        moved = _way(config) != _way(self._config)
        self._drain.change(
            offset_s(self._agent_id, config.jitter_s),
            config.spacing_s,
            self._servers(config) if moved else None,
        )
        self._config = config
        self._adopt(config)

    def _check_posting(self) -> None:
        """End, to be replaced, if the posting thread has been at one step for far too long.

        Each of its steps is bounded, but for what a resolver or a disk does; a thread that hangs
        in one of these cannot be ended in any other way.
        """
        # To save a large spool may take longer than that, and goes on.
        since = max(self._drain.idle_until, self._spool.progressed_at)
        if time.monotonic() > since + _POSTING_S:
            raise StuckError(f"the posting has been at one step for {_POSTING_S:g} s")

    def _commit_if_due(self) -> None:
        if self._held and time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + self._config.commit_s
            self._commit()

    def _commit_now(self) -> None:
        if self._held:
            self._commit()

    def _commit(self) -> None:
        """Keep what is held; if the disk does not take it, hold it until it does."""
        try:
            self._spool.append(self._held, self._layouts, self._channel, self._book, now_ms())
        except StorageError as error:
            self._commit_at = time.monotonic() + _RETRY_S
            self._tell_storage(str(error))
            self._send(Kind.KEPT, 0)  # nothing is kept, but this loop lives
            return
        self._tell_storage("")
        last = self._held[-1][0]
        kept = [poll for _, poll in self._held]
        self._rest_until = time.monotonic() + read_pause_s(kept, self._config.commit_s)
        used = self._announced | {poll.layout_id for poll in kept}
        self._held = []
        self._layouts = {i: packed for i, packed in self._layouts.items() if i in used}
        self._drain.wake()
        self._drain.report()
        self._send(Kind.KEPT, last)

    def _tell_storage(self, error: str) -> None:
        if not self._note("spool", error):
            return
        if error:
            _LOG.error("The spool takes nothing: %s. Trying again until it does.", error)
        else:
            _LOG.info("The spool takes polls again.")

    def _note(self, what: str, why: str) -> bool:
        """Tell control what is wrong, or by an empty `why` that it is over. Whether that is news."""
        with self._reporting:
            if why == self._notes.get(what, ""):
                return False
            self._notes[what] = why
            self._send(Kind.NOTE, {what: why for what, why in self._notes.items() if why})
        return True

    def _report(self, state: UploadState) -> None:
        if not self._spool.is_known:
            return  # an account of nothing would be taken for that of a new spool
        # Both threads report. An older account must not overtake a newer one.
        with self._reporting:
            account = self._spool.state.of_channel(self._channel)
            self._send(Kind.UPLOAD, state.fields(), account.fields())

    def _send(self, *message: object) -> None:
        # If control is gone, the loop learns it as it receives; there is nobody to tell.
        with contextlib.suppress(LinkClosedError):
            self._link.send(*message)


def _way(config: Config) -> tuple[object, ...]:
    """All that the way to the servers goes by."""
    which = config.server_urls, config.failover_after
    return which, config.trust, config.proxy, config.encrypted


def read_pause_s(kept: Sequence[Poll], commit_s: float) -> float:
    """Seconds to rest after a commit of what came since the one before, `commit_s` earlier.

    0 where polls come no faster than commits; less than `commit_s` where so many come that
    the link would fill up.
    """
    if len(kept) < 2:
        return 0.0
    size = sum(len(poll.packed) + _OVERHEAD_BYTES for poll in kept)
    return commit_s * min(1.0, _UNREAD_BYTES / size)
