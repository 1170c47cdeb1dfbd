"""The spool: polls on disk, from when they leave the channel until the server has them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeVar

from pattoo_mp.errors import SpoolError
from pattoo_mp.spool.account import SpoolState
from pattoo_mp.spool.file import SpoolFile
from pattoo_mp.spool.layouts import unpack
from pattoo_mp.spool.limits import JOURNAL_BYTES
from pattoo_mp.spool.pauses import Pauses
from pattoo_mp.spool.recovery import MissingRowsError
from pattoo_mp.spool.tables import Spooled
from pattoo_mp.util.text import size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pattoo_mp.model import Layout, Poll
    from pattoo_mp.spool.limits import Limits
    from pattoo_mp.spool.tables import Tables

__all__ = ["Spool", "SpoolState", "Spooled", "StorageError"]

T = TypeVar("T")

#: Errors that may go away: a full or read-only disk, an I/O error.
StorageError = (sqlite3.Error, OSError)

_OLDER: Final = "older than a poll before it"
_TOO_OLD: Final = "too old"
_UNREADABLE: Final = "damaged in the spool"
#: How many polls are examined for their age at a time.
_AGE_BATCH: Final = 500
_UNKNOWN: Final = 1 << 62


class Spool:
    """Polls in the order of their arrival. Thread-safe.

    Raises `SpoolError` if the file cannot be opened or another process uses it. Every method may
    raise one of `StorageError`, and then has changed nothing. A damaged file is moved aside, and
    its readable polls go into a new one, as far as there is room. With a full disk the spool still
    starts; the file is opened once there is room. `known` is the account as another process knows
    it. `progress` is called now and then, from any thread, while a large file is read or recovered.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        known: SpoolState | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._lock = RLock()
        self._layouts: dict[str, Layout] = {}
        # The layouts given last, which are used first: those in the file may be damaged meanwhile.
        self._packed: dict[str, bytes] = {}
        # An upper bound of the quarantine's size. Finding out the size means reading all of it.
        self._quarantine_bytes = _UNKNOWN
        # The timestamp reserved for the next post; 0 if there is none or it was handed out.
        self._envelope_ms = 0
        #: Why the journal is too large; empty if it is not.
        self.journal_trouble = ""
        try:
            self._file = SpoolFile(path, limits, known, progress)
        except OSError as error:
            failed = error.filename or path
            raise SpoolError(
                f"{failed}: {error.strerror}; expected a spool of this agent"
            ) from error
        except sqlite3.Error as error:
            raise SpoolError(f"{path}: {error}; expected a spool of this agent") from error

    @property
    def limits(self) -> Limits:
        """The limits. New ones apply from the next `append` on."""
        return self._file.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._file.limits = limits

    @property
    def account_loaded(self) -> bool:
        """Whether the account was read from the file: not before there was room to open it."""
        return self._file.account_loaded

    def open(self) -> None:
        """Open the file if there was no room for that yet."""
        with self._lock:
            _ = self._file.tables

    @property
    def progressed_at(self) -> float:
        """When reading or recovering a large file last made progress (`time.monotonic`)."""
        return self._file.progressed_at

    @property
    def state(self) -> SpoolState:
        """A copy of the account."""
        with self._lock:
            return self._file.state.copy()

    @property
    def waiting(self) -> int:
        """How many polls wait for the server."""
        return self._file.state.waiting

    @property
    def quarantined(self) -> int:
        """How many polls are in quarantine."""
        return self._file.state.quarantined

    @property
    def has_layouts(self) -> bool:
        """Whether layouts were given since the start: then those in the file need not be sound."""
        return bool(self._packed)

    def append(
        self,
        polls: Sequence[tuple[int, Poll]],
        layouts: Mapping[str, bytes],
        channel: str,
        ledger_snapshot: str = "",
        now_ms: int = 0,
    ) -> int:
        """Store polls with their sequence numbers in the channel; return how many are new.

        `ledger_snapshot` is control's ledger, to store with them. With a time `now_ms`, the same
        commit reserves the timestamp of the next post: see `next_envelope_ms`.

        Polls of that channel that are stored already are skipped: a worker that died between its
        commit and its acknowledgement gets them again. A poll older than one before it is
        dropped and counted, as the server would silently drop it; so is one of a new channel with the
        time of the newest poll of another one.
        """
        return self._do(lambda: self._append(polls, layouts, channel, ledger_snapshot, now_ms))

    def oldest(self, limit: int) -> list[Spooled]:
        """Return up to `limit` of the oldest polls, oldest first. They stay until acknowledged.

        Polls whose bytes have changed are moved into quarantine first.
        """
        return self._do(lambda: self._oldest(limit))

    def layout(self, identifier: str) -> Layout:
        """Return the layout of a stored poll. Raises `WireError` if it cannot be read."""
        with self._lock:
            if identifier not in self._layouts:
                packed = self._packed.get(identifier)
                if packed is None:
                    packed = self._do(lambda: self._file.tables.layouts.read_packed(identifier))
                self._layouts[identifier] = unpack(identifier, packed, self.layout)
            return self._layouts[identifier]

    def acknowledge(self, last_id: int) -> int:
        """Remove all polls up to `last_id`, which the server has; return how many it took.

        That number includes polls lost to damage in the meantime.
        """
        return self._do(lambda: self._acknowledge(last_id))

    def set_aside(self, poll_id: int, reason: str) -> None:
        """Move one poll into quarantine."""
        self._do(lambda: self._set_aside(poll_id, reason))

    def next_envelope_ms(self, now_ms: int) -> int:
        """Return a timestamp for a post: `now_ms`, or later if that was used before.

        The server names its files by it and would overwrite one of the same name. So the timestamp
        grows across restarts and clock steps: it is stored before it is returned. If the last
        `append` has reserved one, that is returned; otherwise this takes a separate commit.
        """
        return self._do(lambda: self._next_envelope_ms(now_ms))

    def close(self) -> None:
        """Close the file and release the lock."""
        with self._lock:
            self._file.close()

    # --- with the lock held

    def _do(self, action: Callable[[], T]) -> T:
        with self._lock:
            return self._file.run(action)

    def _append(
        self,
        polls: Sequence[tuple[int, Poll]],
        layouts: Mapping[str, bytes],
        channel: str,
        ledger_snapshot: str,
        now_ms: int,
    ) -> int:
        now = self.state
        # A new control process may not have reported yet how long no agent ran.
        age_is_known = now.channel in {"", channel}
        earlier_ms = now.newest_ms if now.channel != channel else 0
        if now.channel != channel:
            now.channel, now.sequence, now.kept_of_channel = channel, 0, 0
        new = [(sequence, poll) for sequence, poll in polls if sequence > now.sequence]
        if not new and ledger_snapshot in {"", now.book}:
            return 0
        self._check_journal()
        timely = [poll for _, poll in new if _is_timely(poll, now, earlier_ms)]
        now.sequence = new[-1][0] if new else now.sequence
        now.book = ledger_snapshot or now.book
        now.kept += len(new)
        now.kept_of_channel += len(new)
        now.waiting += len(timely)
        now.drop(_OLDER, len(new) - len(timely))
        if now_ms:
            now.envelope_ms = max(now_ms, now.envelope_ms + 1)
        used_before = self._file.tables.used_bytes()
        with self._file.transaction(now) as tables:
            tables.add(timely, layouts)
            self._drop_from_quarantine(tables, now)
            if age_is_known:
                self._drop_too_old(tables, now)
            self._drop_too_many(tables, now, used_before)
        if self._file.handed_out:
            # Polls dropped now stay dropped, whatever becomes of their post or of the file.
            oldest = self._file.tables.oldest_id()
            self._file.handed_out = frozenset(i for i in self._file.handed_out if i >= oldest)
        self._packed = dict(layouts)
        self._envelope_ms = now.envelope_ms if now_ms else 0
        return len(new)

    def _oldest(self, limit: int) -> list[Spooled]:
        while True:
            found = self._file.tables.oldest(limit)
            if len(found) < min(limit, self.waiting):
                raise MissingRowsError("polls are missing")
            damaged = [spooled for spooled in found if not spooled.sound]
            if not damaged:
                self._file.handed_out, self._file.lost = frozenset(s.id for s in found), {}
                self._keep_layouts_of(found)
                return found
            for spooled in damaged:
                if not self._set_aside(spooled.id, _UNREADABLE):
                    raise MissingRowsError(f"poll {spooled.id} is listed but cannot be moved")

    def _keep_layouts_of(self, polls: list[Spooled]) -> None:
        """Keep only layouts needed next in memory: an outage may have more than fit into it."""
        needed = self._file.tables.layouts.with_parts({s.poll.layout_id for s in polls})
        self._file.tables.layouts.handed_out = needed
        # The next polls most often have the layouts that were given last.
        needed |= self._packed.keys()
        self._layouts = {i: kept for i, kept in self._layouts.items() if i in needed}

    def _acknowledge(self, last_id: int) -> int:
        now = self.state
        # These were counted as dropped when they were lost.
        arrived = Counter(reason for lost, reason in self._file.lost.items() if lost <= last_id)
        with self._file.transaction(now) as tables:
            now.delivered_ms = tables.newest_ms(last_id) or now.delivered_ms
            tables.layouts.handed_out = frozenset()
            removed = tables.remove(last_id)
            now.delivered += removed + arrived.total()
            now.dropped -= arrived
            now.waiting -= removed
            now.acknowledged_id = max(now.acknowledged_id, last_id)
        self._file.handed_out, self._file.lost = frozenset(), {}
        self._file.tables.give_back_pages()
        return removed + arrived.total()

    def _set_aside(self, poll_id: int, reason: str) -> int:
        now = self.state
        with self._file.transaction(now) as tables:
            self._quarantine_bytes += tables.bytes_of(poll_id) + len(reason)
            moved = tables.set_aside(poll_id, reason)
            now.waiting -= moved
            now.quarantined += moved
            self._drop_from_quarantine(tables, now)
        return moved

    def _next_envelope_ms(self, now_ms: int) -> int:
        kept, self._envelope_ms = self._envelope_ms, 0
        now = self.state
        if kept and kept == now.envelope_ms:  # still the newest, and not handed out
            return kept
        self._check_journal()
        now.envelope_ms = max(now_ms, now.envelope_ms + 1)
        with self._file.transaction(now):
            pass  # only the account changes
        return now.envelope_ms

    def _check_journal(self) -> None:
        """Note whether a reader holds the journal; raise `sqlite3.Error` if it reaches the limit.

        What was written after the beginning of another process's transaction stays in the journal
        until that ends. What is more than a journal usually takes counts as a part of the spool.
        Dropping polls would not help: it makes the journal larger.
        """
        tables = self._file.tables
        journal_bytes = tables.journal_bytes()
        excess = journal_bytes - JOURNAL_BYTES
        if excess <= 0:
            self.journal_trouble = ""
            return
        self.journal_trouble = (
            f"{self._path}-wal has {size(journal_bytes)}, since another process reads the spool: "
            f"fuser {self._path} shows which"
        )
        if tables.used_bytes() + excess > self.limits.max_bytes and not tables.empty_journal():
            raise sqlite3.OperationalError(f"{self.journal_trouble}; end it")

    def _drop_from_quarantine(self, tables: Tables, now: SpoolState) -> None:
        limit = self.limits.quarantine_limit
        if not now.quarantined or self._quarantine_bytes <= limit.max_bytes:
            return
        self._quarantine_bytes = tables.quarantine_bytes()
        if self._quarantine_bytes <= limit.max_bytes:
            return
        # Remove a little more than necessary, or each new poll would cause a full read.
        removed = tables.shrink_quarantine(limit.max_bytes * 9 // 10, now.quarantined)
        self._quarantine_bytes = tables.quarantine_bytes()
        now.quarantined -= removed
        now.drop(limit.reason, removed)

    def _drop_too_old(self, tables: Tables, now: SpoolState) -> None:
        if tables.oldest_ms() >= self.limits.oldest_allowed_ms(now.newest_ms, Pauses()):
            return  # the usual case: no need to read the pauses, and hundreds of polls
        limit_ms = self.limits.oldest_allowed_ms(now.newest_ms, Pauses(Pauses.read(now.book)))
        while found := tables.oldest(_AGE_BATCH):
            too_old = [spooled for spooled in found if spooled.poll.timestamp_ms < limit_ms]
            if not too_old or found[0] is not too_old[0]:
                return
            removed = tables.remove_oldest(len(too_old))
            now.waiting -= removed
            now.drop(_TOO_OLD, removed)
            if len(too_old) < len(found):
                return

    def _drop_too_many(self, tables: Tables, now: SpoolState, used_before: int) -> None:
        limit = self.limits.size_limit(used_before, self._path.parent)
        removed = tables.shrink(limit.max_bytes, now.waiting)
        now.waiting -= removed
        now.drop(limit.reason, removed)


def _is_timely(poll: Poll, now: SpoolState, earlier_ms: int) -> bool:
    """Whether a poll is newer than those before it. Polls of several intervals may have one time.

    But none has a time up to `earlier_ms`, that of the newest poll of another channel: if the clock was
    set back, a control process that did not know of that poll has polled the same tick again.
    """
    if poll.timestamp_ms < now.newest_ms or poll.timestamp_ms <= earlier_ms:
        return False
    now.newest_ms = poll.timestamp_ms
    return True
