"""The uploader process: moves polls from the link to the spool, and from the spool to its outputs.

The main thread reads the link and commits polls to the spool. Each output has a thread that posts
(drain.py) or answers who fetches (pull/). So a post that hangs stops neither the reading nor another output.
"""

from __future__ import annotations

import contextlib
import logging
import select
import signal
import sys
import time
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final, Protocol

from pattoo_mp import log
from pattoo_mp.config.values import PULL, Config
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import COLLECTOR_STOP_S, Kind, UploadState, posts_trouble
from pattoo_mp.model import Poll, is_divided, now_ms, part_identifiers
from pattoo_mp.spool.layouts import MissingLayoutError
from pattoo_mp.spool.store import Spool, StorageError
from pattoo_mp.upload.drain import Drain
from pattoo_mp.upload.pacing import Pace, offset_s
from pattoo_mp.upload.report import send_groups, spool_limits
from pattoo_mp.upload.spooled import Outbox
from pattoo_mp.util.signals import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import FileDescriptorLike

    from pattoo_mp.config.values import Output
    from pattoo_mp.ipc.link import Link, Message
    from pattoo_mp.upload.delivery import Sender

    #: Makes a `Puller`, with what reports the state of an account by its name, and a trouble of this host.
    MakePuller = Callable[
        [Config, Output, Callable[[str, UploadState], None], Callable[[str], object]], "Puller"
    ]

_LOG = logging.getLogger(__name__)

#: The part of the time between two commits that has to pass at least.
_EARLY: Final = 0.9
#: How long to wait before the next commit after one has failed.
_RETRY_S: Final = 1.0
#: More than all time limits of one attempt together: connection, exchange, status page, test post.
_POSTING_S: Final = 180.0
_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
#: How long an uploader that got a signal to end waits for control's permission.
_CLOSE_S: Final = COLLECTOR_STOP_S + 1.0
#: How long it waits for its threads.
_LEAVE_S: Final = 2.0


class StuckError(Exception):
    """A posting thread hangs. Only a new process helps."""


class Puller(Protocol):
    """What answers for an output that is fetched. Its thread calls `run`."""

    #: It is rightly idle until then (`time.monotonic`). Later it is working, or stuck.
    idle_until: float
    #: The settings in force.
    config: Config

    def run(self) -> None:
        """Answer until `stop` is called."""

    def stop(self) -> None:
        """End; callable from any thread."""

    def wake(self) -> None:
        """Announce new polls in the spool."""

    def report(self) -> None:
        """Report the state."""


class Uploader:
    """Runs until control closes the link or is gone, or a signal asks it to end.

    `sender` makes what posts to an output, `puller` what answers for one that is fetched; `adopt` applies new
    settings to the process itself.
    """

    def __init__(
        self,
        link: Link,
        config: Config,
        spool: Spool,
        channel: str,
        agent_id: str,
        *,
        sender: Callable[[Config, Output, Outbox], Sender],
        puller: MakePuller | None = None,
        adopt: Callable[[Config], None] = lambda _: None,
    ) -> None:
        self._link = link
        self._config = config
        self._adopt = adopt
        self._spool = spool
        self._spool.limits = spool_limits(config)
        self._channel = channel
        self._agent_id = agent_id
        self._wakeup = Wakeup(_ENDING, log.SIGNAL_ACTIONS)
        self._sender = sender
        self._puller = puller
        self._posting: dict[str, _Posting] = {}
        self._held: list[tuple[int, Poll]] = []
        #: The layouts of the last committed polls and of the held ones.
        self._layouts: dict[str, bytes] = {}
        #: Layouts whose first poll has not arrived yet: each comes in a message before its poll.
        self._announced: set[str] = set()
        self._last_divided = ""
        self._last_parts: frozenset[str] = frozenset()
        #: Control's ledger as of the last held poll, and as of the next one.
        self._book = self._next_book = ""
        self._reporting = Lock()
        self._commit_at = 0.0
        self._ends_at: float | None = None
        self._closed = False
        self._notes: dict[str, str] = {}

    def run(self) -> None:
        """Read, commit and post."""
        self._start_posting(self._config)
        try:
            while not self._closed and not self._leave_timed_out():
                self._wait()
                self._receive()
                self._commit_if_due()
                self._check_posting()
        except LinkClosedError:
            _LOG.error("Control has exited; the uploader stores what it has and exits.")
        self._stop_posting()
        self._commit_held()
        self._commit_book()
        until = time.monotonic() + _LEAVE_S
        ended = [posting.has_ended(until) for posting in self._posting.values()]
        if all(ended):
            self._spool.close()

    def _start_posting(self, config: Config) -> None:
        """Start to post to the outputs of a configuration that have no thread yet."""
        outputs = config.outputs
        for output in outputs:
            note = partial(self._note, posts_trouble(output.name, outputs[0].name))
            if output.name in self._posting:
                continue
            outbox = Outbox(self._spool, output.name)
            if output.kind == PULL and self._puller is not None:
                drain: Drain | Puller = self._puller(config, output, self._report, note)
            else:
                drain = Drain(
                    outbox,
                    self._sender(config, output, outbox),
                    partial(self._report, output.name),
                    note,
                    pace=Pace(offset_s(self._agent_id, config.jitter_s), config.spacing_s),
                )
            self._posting[output.name] = _Posting(output, outbox, drain, note)
            drain.report()

    def _stop_posting(self) -> None:
        for posting in self._posting.values():
            posting.drain.stop()

    def _wait(self) -> None:
        reading: list[FileDescriptorLike] = [self._wakeup, self._link]
        writing = [self._link] if self._link.unsent_bytes else []
        readable, writable, _ = select.select(reading, writing, [], self._next_step_s())
        if writable:
            self._link.flush()
        if self._wakeup in readable:
            self._handle_signals(self._wakeup.take())

    def _handle_signals(self, signals: set[signal.Signals]) -> None:
        if signals & _ENDING and self._ends_at is None:
            self._ends_at = time.monotonic() + _CLOSE_S
            self._stop_posting()
            self._send(Kind.LEAVING)

    def _next_step_s(self) -> float | None:
        moments = [self._commit_at] if self._has_to_write else []
        if self._ends_at is not None:
            moments.append(self._ends_at)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _leave_timed_out(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _receive(self) -> None:
        for message in self._link.receive():
            self._handle(message)

    def _handle(self, message: Message) -> None:
        match message:
            case [Kind.PART | Kind.LAYOUT, identifier, packed]:
                self._layouts[identifier] = packed
                self._announced.add(identifier)
                if is_divided(identifier):
                    self._last_divided = identifier
                    self._last_parts = frozenset(part_identifiers(packed))
                    self._announced -= self._last_parts
            case [Kind.POLL, sequence, layout_id, timestamp_ms, packed, *group]:
                self._held.append((sequence, Poll(layout_id, timestamp_ms, packed, *group)))
                self._announced.discard(layout_id)
                self._book = self._next_book
            case [Kind.LEDGER_SNAPSHOT, book]:
                self._next_book = book
            case [Kind.CLOSE]:
                # No poll follows that the last snapshot could be stored with.
                self._book = self._next_book
                self._closed = True
            case [Kind.SETTINGS, number, settings]:
                self._apply_settings(number, Config.of(settings))
            case _:
                _LOG.error("Unknown message from control: %.80r", message)

    def _apply_settings(self, number: int, config: Config) -> None:
        if config.needs_tls and not _has_tls():
            _LOG.info("The new settings need TLS; this uploader ends, and its successor loads TLS.")
            self._closed = True
            return
        self._apply(config)
        self._send(Kind.APPLIED, number)

    def _apply(self, config: Config) -> None:
        """Use other settings, from the next commit and the next post on."""
        self._spool.limits = spool_limits(config)
        self._change_outputs(config)
        self._config = config
        self._adopt(config)

    def _change_outputs(self, config: Config) -> None:
        outputs = {output.name: output for output in config.outputs}
        gone = [
            name
            for name, posting in self._posting.items()
            if name not in outputs or posting.begins_anew(outputs[name])
        ]
        for name in gone:
            self._posting[name].drain.stop()
        until = time.monotonic() + _LEAVE_S
        for name in gone:
            posting = self._posting.pop(name)
            if not posting.has_ended(until):
                raise StuckError(f"the posting thread of {name}, which is gone, does not end")
            posting.note("")
        self._spool.change_outputs(list(outputs))
        for name, posting in self._posting.items():
            output = outputs[name]
            moved = output != posting.output or _shared(config) != _shared(self._config)
            posting.output = output
            if not isinstance(posting.drain, Drain):
                posting.drain.config = config
                continue
            posting.drain.change(
                offset_s(self._agent_id, config.jitter_s),
                config.spacing_s,
                self._sender(config, output, posting.outbox) if moved else None,
            )
        self._start_posting(config)

    def _check_posting(self) -> None:
        """End, to be replaced, if a posting thread has been at one step for far too long.

        Each step has a time limit, except what a resolver or a disk does. A thread that hangs there
        cannot be ended in any other way.
        """
        # Recovering a large spool may take longer than that, but makes progress.
        for name, posting in self._posting.items():
            since = max(posting.drain.idle_until, self._spool.progressed_at)
            if time.monotonic() > since + _POSTING_S:
                raise StuckError(
                    f"the posting thread of {name} has been at one step for {_POSTING_S:g} s"
                )

    @property
    def _has_to_write(self) -> bool:
        return bool(self._held) or not self._spool.account_loaded

    def _commit_if_due(self) -> None:
        if self._has_to_write and time.monotonic() >= self._commit_at:
            # Control brings polls about as often as this, and then they need not wait.
            self._commit_at = time.monotonic() + _EARLY * self._config.commit_s
            self._commit()

    def _commit_held(self) -> None:
        if self._has_to_write:
            self._commit()

    def _commit_book(self) -> None:
        """Store control's ledger, if no poll brings it along."""
        if self._book and not self._held:
            with contextlib.suppress(*StorageError):
                self._spool.append([], {}, self._channel, self._book)

    def _commit(self) -> None:
        """Commit the held polls to the spool. If that fails, keep holding them and retry later."""
        try:
            self._open_spool()
            if self._held:
                self._spool.append(self._held, self._layouts, self._channel, self._book, now_ms())
        except MissingLayoutError as error:
            _LOG.warning("%s; this uploader ends, and its successor gets all of them.", error)
            self._closed, self._held = True, []
            return
        except StorageError as error:
            self._commit_at = time.monotonic() + _RETRY_S
            self._report_storage(str(error))
            self._report_journal()
            self._send(Kind.KEPT, 0)  # nothing was committed, but this loop is alive
            return
        self._report_storage("")
        self._report_journal()
        if not self._held:
            return
        last = self._held[-1][0]
        kept = [poll for _, poll in self._held]
        # Control sends no part again that the last divided layout had.
        used = self._announced | {poll.layout_id for poll in kept} | self._last_parts
        used.add(self._last_divided)
        self._held = []
        self._layouts = {i: packed for i, packed in self._layouts.items() if i in used}
        self._announce()
        self._send(Kind.KEPT, last)

    def _announce(self) -> None:
        """Tell the posting threads of what is new in the spool, and control of the account."""
        for posting in self._posting.values():
            posting.drain.report()
            posting.drain.wake()

    def _open_spool(self) -> None:
        """Open a spool for which there was no room yet. Raises one of `StorageError`.

        Control gets the account before a poll of its own is in it: it has to know what is from
        earlier.
        """
        if not self._spool.account_loaded:
            self._spool.open()
            with contextlib.suppress(LinkClosedError):  # the next `receive` finds out
                send_groups(self._link, self._spool)
            self._announce()

    def _report_storage(self, error: str) -> None:
        if not self._note("spool", error):
            return
        if error:
            _LOG.error("Cannot write to the spool: %s. Retrying until it works.", error)
        else:
            _LOG.info("The spool accepts polls again.")

    def _report_journal(self) -> None:
        trouble = self._spool.journal_trouble
        # The size in it changes; a note for each commit would tell control nothing more.
        if bool(trouble) != bool(self._notes.get("journal")):
            self._note("journal", trouble)
            if trouble:
                _LOG.warning("The spool's journal cannot shrink: %s.", trouble)
            else:
                _LOG.info("The spool's journal has shrunk.")

    def _note(self, what: str, why: str) -> bool:
        """Tell control why `what` has trouble; an empty `why` ends it. Return whether it changed."""
        with self._reporting:
            if why == self._notes.get(what, ""):
                return False
            self._notes[what] = why
            self._send(Kind.NOTE, {what: why for what, why in self._notes.items() if why})
        return True

    def _report(self, output: str, state: UploadState) -> None:
        if not self._spool.account_loaded:
            return  # control would take an empty account for that of a new spool
        # Both threads report. An older account must not overtake a newer one.
        with self._reporting:
            account = self._spool.state.of_channel(self._channel)
            self._send(Kind.UPLOAD, output, state.fields(), account.fields())

    def _send(self, *message: object) -> None:
        # If control is gone, the next `receive` finds out; there is nobody to tell.
        with contextlib.suppress(LinkClosedError):
            self._link.send(*message)
        if self._link.unsent_bytes:
            # The main thread sends the rest; it may be waiting for other things.
            self._wakeup.wake()


class _Posting:
    """An output with its thread, which posts or answers. `note` gets its trouble on this host; empty ends it."""

    def __init__(
        self, output: Output, outbox: Outbox, drain: Drain | Puller, note: Callable[[str], object]
    ) -> None:
        self.output = output
        self.outbox = outbox
        self.drain = drain
        self.note = note
        self._thread = Thread(target=drain.run, name=output.name, daemon=True)
        self._thread.start()

    def begins_anew(self, output: Output) -> bool:
        """Whether it needs another thread with other keys of its output: one that listens elsewhere."""
        return output != self.output and PULL in {output.kind, self.output.kind}

    def has_ended(self, until: float) -> bool:
        """Wait until a time (`time.monotonic`) for the thread; return whether it has ended."""
        self._thread.join(timeout=max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()


def _has_tls() -> bool:
    """Whether posts can use TLS: the HTTP client may have been loaded without, or not at all yet."""
    exchange = sys.modules.get("pattoo_mp.upload.exchange")
    return exchange is None or bool(exchange.HAS_TLS)


def _shared(config: Config) -> tuple[object, ...]:
    """Return the settings of all outputs whose change requires new connections."""
    return config.failover_after, config.encrypted
