"""The spool: polls on disk, from the moment they leave the channel until the server has them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeVar

from pattoo_mp.errors import SpoolError
from pattoo_mp.model import Layout
from pattoo_mp.spool.account import SpoolState
from pattoo_mp.spool.file import SpoolFile
from pattoo_mp.spool.recovery import MissingRowsError
from pattoo_mp.spool.tables import Spooled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pattoo_mp.model import Poll
    from pattoo_mp.spool.limits import Limits
    from pattoo_mp.spool.tables import Tables

__all__ = ["Spool", "SpoolState", "Spooled", "StorageError"]

T = TypeVar("T")

#: What another attempt may not meet: a full or read-only disk, an I/O error.
StorageError = (sqlite3.Error, OSError)

_OLDER: Final = "older than a poll before it"
_TOO_OLD: Final = "too old"
_UNREADABLE: Final = "damaged in the spool"
_AGE_BATCH: Final = 500
_UNKNOWN: Final = 1 << 62


class Spool:
    """Polls in the order in which they came. Its methods may be called from any thread.

    Raises `SpoolError` if the file cannot be had or another process uses it. Every method may
    raise one of `StorageError`; then nothing of what was asked has happened. A file that turns
    out to be damaged is put aside, and what can be read goes into a new one, as far as there is
    room. A disk that is full is no reason not to begin: the file is opened once it has room.
    `progress` is called now and then, from any thread, while a large file is read or saved.
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
        # As they were given last: what the file has of them may be damaged meanwhile.
        self._packed: dict[str, bytes] = {}
        # No less than what the quarantine takes. To look at that, all of it is read.
        self._quarantine_bytes = _UNKNOWN
        # The timestamp that was kept for the next post; 0 if it was given out, or none was.
        self._envelope_ms = 0
        try:
            self._file = SpoolFile(path, limits, known, progress)
        except OSError as error:
            place = error.filename or path
            raise SpoolError(
                f"{place}: {error.strerror}; expected a spool of this agent"
            ) from error
        except sqlite3.Error as error:
            raise SpoolError(f"{path}: {error}; expected a spool of this agent") from error

    @property
    def limits(self) -> Limits:
        """How large it may grow. Other ones hold from the next `append` on."""
        return self._file.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._file.limits = limits

    @property
    def is_known(self) -> bool:
        """Whether the account is the file's own: not before there was room on the disk to open it."""
        return self._file.is_known

    @property
    def progressed_at(self) -> float:
        """When a large file was read or saved last, be it in part (`time.monotonic`)."""
        return self._file.progressed_at

    @property
    def state(self) -> SpoolState:
        """The account now."""
        with self._lock:
            return self._file.state.copy()

    @property
    def waiting(self) -> int:
        """How many polls wait for the server."""
        return self._file.state.waiting

    @property
    def quarantined(self) -> int:
        """How many polls were set aside."""
        return self._file.state.quarantined

    @property
    def has_layouts(self) -> bool:
        """Whether layouts were given since it was opened: then the file's need not be sound."""
        return bool(self._packed)

    def append(
        self,
        polls: Sequence[tuple[int, Poll]],
        layouts: Mapping[str, bytes],
        channel: str,
        book: str = "",
        now_ms: int = 0,
    ) -> int:
        """Keep polls, each with its sequence number in the channel of the name `channel`.

        Given the time `now_ms`, the same commit keeps the timestamp of the next post: see
        `next_envelope_ms`.

        Polls of that channel that are kept already are passed over: a worker that died between
        its commit and its acknowledgement is given them again. One that is older than a poll
        before it is dropped, and counted: the server would drop it without a word. Returns how
        many were new.
        """
        return self._do(lambda: self._append(polls, layouts, channel, book, now_ms))

    def oldest(self, limit: int) -> list[Spooled]:
        """The oldest polls, at most `limit`, oldest first. They stay until acknowledged.

        A poll whose bytes are not what was kept is set aside first.
        """
        return self._do(lambda: self._oldest(limit))

    def layout(self, identifier: str) -> Layout:
        """A layout of a poll that is kept here. Raises `WireError` if it cannot be read."""
        with self._lock:
            if identifier not in self._layouts:
                packed = self._packed.get(identifier)
                self._layouts[identifier] = (
                    Layout.unpack(packed)
                    if packed is not None
                    else self._do(lambda: self._file.tables.layout(identifier))
                )
            return self._layouts[identifier]

    def acknowledge(self, last_id: int) -> int:
        """Remove what the server has: all polls up to `last_id`. Returns how many it has.

        Those that a damage has taken meanwhile are among them.
        """
        return self._do(lambda: self._acknowledge(last_id))

    def set_aside(self, poll_id: int, reason: str) -> None:
        """Move one poll into quarantine; the others go on."""
        self._do(lambda: self._set_aside(poll_id, reason))

    def next_envelope_ms(self, now_ms: int) -> int:
        """A timestamp for a post: now, or later if one of now was given out before.

        It is kept before it is returned, by a commit of its own if the last of polls did not do
        so: then it is the time of that. So it grows across restarts and clock steps: the
        server names its files by it, and two of one name are one.
        """
        return self._do(lambda: self._next_envelope_ms(now_ms))

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self._lock:
            self._file.close()

    # --- inside the lock

    def _do(self, action: Callable[[], T]) -> T:
        with self._lock:
            return self._file.do(action)

    def _append(
        self,
        polls: Sequence[tuple[int, Poll]],
        layouts: Mapping[str, bytes],
        channel: str,
        book: str,
        now_ms: int,
    ) -> int:
        now = self.state
        if now.channel != channel:
            now.channel, now.sequence, now.kept_of_channel = channel, 0, 0
        new = [(sequence, poll) for sequence, poll in polls if sequence > now.sequence]
        if not new:
            return 0
        timely = [poll for _, poll in new if _is_timely(poll, now)]
        now.sequence = new[-1][0]
        now.book = book or now.book
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
            self._drop_too_old(tables, now)
            self._drop_too_many(tables, now, used_before)
        if self._file.given:
            # What was dropped now stays dropped, whatever comes of its post or of the file.
            oldest = self._file.tables.oldest_id()
            self._file.given = frozenset(given for given in self._file.given if given >= oldest)
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
                self._file.given, self._file.lost = frozenset(s.id for s in found), {}
                self._keep_layouts_of(found)
                return found
            for spooled in damaged:
                if not self._set_aside(spooled.id, _UNREADABLE):
                    raise MissingRowsError(f"poll {spooled.id} is there and is not")

    def _keep_layouts_of(self, given: list[Spooled]) -> None:
        """Keep what may be asked for next; an outage has more layouts than fit into memory."""
        needed = frozenset(spooled.poll.layout_id for spooled in given)
        self._file.tables.given_layouts = needed
        # Those that came last are most often those of the next polls.
        needed |= self._packed.keys()
        self._layouts = {i: kept for i, kept in self._layouts.items() if i in needed}

    def _acknowledge(self, last_id: int) -> int:
        now = self.state
        # They were counted as dropped when they were lost, for whatever reason.
        arrived = Counter(reason for lost, reason in self._file.lost.items() if lost <= last_id)
        with self._file.transaction(now) as tables:
            now.delivered_ms = tables.newest_ms(last_id) or now.delivered_ms
            tables.given_layouts = frozenset()
            removed = tables.remove(last_id)
            now.delivered += removed + arrived.total()
            now.dropped -= arrived
            now.waiting -= removed
            now.acknowledged_id = max(now.acknowledged_id, last_id)
        self._file.given, self._file.lost = frozenset(), {}
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
        if kept and kept == now.envelope_ms:  # it is the newest still, and nobody was given it
            return kept
        now.envelope_ms = max(now_ms, now.envelope_ms + 1)
        with self._file.transaction(now):
            pass  # the account alone is what changes
        return now.envelope_ms

    def _drop_from_quarantine(self, tables: Tables, now: SpoolState) -> None:
        room = self.limits.quarantine
        if not now.quarantined or self._quarantine_bytes <= room.most_bytes:
            return
        self._quarantine_bytes = tables.quarantine_bytes()
        if self._quarantine_bytes <= room.most_bytes:
            return
        # A little more than it must be, or all of it would be read with each poll that comes.
        removed = tables.shrink_quarantine(room.most_bytes * 9 // 10, now.quarantined)
        self._quarantine_bytes = tables.quarantine_bytes()
        now.quarantined -= removed
        now.drop(room.reason, removed)

    def _drop_too_old(self, tables: Tables, now: SpoolState) -> None:
        limit_ms = self.limits.oldest_allowed_ms(now.newest_ms)
        if tables.oldest_ms() >= limit_ms:
            return  # as ever: there is no need to read hundreds of them
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
        room = self.limits.room(used_before, self._path.parent)
        removed = tables.shrink(room.most_bytes, now.waiting)
        now.waiting -= removed
        now.drop(room.reason, removed)


def _is_timely(poll: Poll, now: SpoolState) -> bool:
    if poll.timestamp_ms < now.newest_ms:
        return False
    now.newest_ms = poll.timestamp_ms
    return True
