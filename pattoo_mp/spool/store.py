"""The spool: polls on disk, from the moment they leave the channel until the server has them."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections import Counter
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeVar

from pattoo_mp import private
from pattoo_mp.errors import SpoolError
from pattoo_mp.model import Layout
from pattoo_mp.spool.account import SpoolState, state_of
from pattoo_mp.spool.hold import hold
from pattoo_mp.spool.limits import Limits
from pattoo_mp.spool.salvage import (
    READ_ERRORS,
    MissingRowsError,
    copy,
    discard,
    is_damage,
    put_aside,
    read_facts,
)
from pattoo_mp.spool.tables import OtherSchemaError, Spooled, Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pattoo_mp.model import Poll

__all__ = ["Spool", "SpoolState", "Spooled", "StorageError"]

_LOG = logging.getLogger(__name__)
T = TypeVar("T")

#: What another attempt may not meet: a full or read-only disk, an I/O error.
StorageError = (sqlite3.Error, OSError)

_OLDER: Final = "older than a poll before it"
_TOO_OLD: Final = "too old"
_DAMAGED: Final = "the spool was damaged"
_UNREADABLE: Final = "damaged in the spool"
_AGE_BATCH: Final = 500


class Spool:
    """Polls in the order in which they came. Its methods may be called from any thread.

    Raises `SpoolError` if the file cannot be had or another process uses it. Every method may
    raise one of `StorageError`; then nothing of what was asked has happened. A file that turns
    out to be damaged is put aside, and what can be read goes into a new one.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._path = path
        self._limits = limits or Limits()
        self._lock = RLock()
        self._layouts: dict[str, Layout] = {}
        # As they were given last: what the file has of them may be damaged meanwhile.
        self._packed: dict[str, bytes] = {}
        self._state = SpoolState()
        # What was given out last, and what of it a damage has taken since: a post of it may be
        # under way, and its answer come yet.
        self._given: frozenset[int] = frozenset()
        self._lost: frozenset[int] = frozenset()
        self._acknowledged_id = 0
        self._held = hold(self._lock_path)
        try:
            self._tables = self._open()
        except OSError as error:
            raise SpoolError(f"{path}: {error.strerror}; expected a spool of this agent") from error
        except sqlite3.Error as error:
            raise SpoolError(f"{path}: {error}; expected a spool of this agent") from error

    @property
    def state(self) -> SpoolState:
        """The account now."""
        with self._lock:
            return replace(self._state, dropped=self._state.dropped.copy())

    @property
    def waiting(self) -> int:
        """How many polls wait for the server."""
        return self._state.waiting

    @property
    def quarantined(self) -> int:
        """How many polls were set aside."""
        return self._state.quarantined

    def append(
        self,
        polls: Sequence[tuple[int, Poll]],
        layouts: Mapping[str, bytes],
        channel: str,
        book: str = "",
    ) -> int:
        """Keep polls, each with its sequence number in the channel of the name `channel`.

        Polls of that channel that are kept already are passed over: a worker that died between
        its commit and its acknowledgement is given them again. One that is older than a poll
        before it is dropped, and counted: the server would drop it without a word. Returns how
        many were new.
        """
        return self._do(lambda: self._append(polls, layouts, channel, book))

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
                    else self._do(lambda: self._tables.layout(identifier))
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

        It is kept before it is returned, so it grows across restarts and clock steps: the
        server names its files by it, and two of one name are one.
        """
        return self._do(lambda: self._next_envelope_ms(now_ms))

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self._lock:
            self._tables.close()
            os.close(self._held)

    # --- inside the lock

    def _append(
        self,
        polls: Sequence[tuple[int, Poll]],
        layouts: Mapping[str, bytes],
        channel: str,
        book: str,
    ) -> int:
        now = self._new_state()
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
        if len(timely) < len(new):
            now.dropped[_OLDER] += len(new) - len(timely)
        used_before = self._tables.used_bytes()
        with self._tables.transaction():
            self._tables.add(timely, layouts)
            self._drop_too_old(now)
            self._drop_too_many(now, used_before)
            self._tables.set_facts(now.facts())
        self._state, self._packed = now, dict(layouts)
        return len(new)

    def _oldest(self, limit: int) -> list[Spooled]:
        while True:
            found = self._tables.oldest(limit)
            if len(found) < min(limit, self._state.waiting):
                raise MissingRowsError("polls are missing")
            damaged = [spooled for spooled in found if not spooled.sound]
            if not damaged:
                self._given, self._lost = frozenset(s.id for s in found), frozenset()
                return found
            for spooled in damaged:
                if not self._set_aside(spooled.id, _UNREADABLE):
                    raise MissingRowsError(f"poll {spooled.id} is there and is not")

    def _acknowledge(self, last_id: int) -> int:
        now = self._new_state()
        with self._tables.transaction():
            removed = self._tables.remove(last_id)
            arrived = sum(lost <= last_id for lost in self._lost)
            now.delivered += removed + arrived
            now.dropped -= Counter({_DAMAGED: arrived})
            now.waiting -= removed
            if not now.waiting:
                self._tables.forget_layouts()
                self._layouts.clear()
            self._tables.set_facts(now.facts())
        self._state = now
        self._given = self._lost = frozenset()
        self._acknowledged_id = max(self._acknowledged_id, last_id)
        self._tables.give_back_pages()
        return removed + arrived

    def _set_aside(self, poll_id: int, reason: str) -> int:
        now = self._new_state()
        with self._tables.transaction():
            moved = self._tables.set_aside(poll_id, reason)
            now.waiting -= moved
            now.quarantined += moved
        self._state = now
        return moved

    def _next_envelope_ms(self, now_ms: int) -> int:
        now = self._new_state()
        now.envelope_ms = max(now_ms, now.envelope_ms + 1)
        with self._tables.transaction():
            self._tables.set_facts(now.facts())
        self._state = now
        return now.envelope_ms

    def _new_state(self) -> SpoolState:
        """A copy to change; it becomes the state once the transaction is done."""
        return self.state

    def _drop_too_old(self, now: SpoolState) -> None:
        limit_ms = self._limits.oldest_allowed_ms(now.newest_ms)
        while found := self._tables.oldest(_AGE_BATCH):
            too_old = [spooled for spooled in found if spooled.poll.timestamp_ms < limit_ms]
            if not too_old or found[0] is not too_old[0]:
                return
            removed = self._tables.remove_oldest(len(too_old))
            now.waiting -= removed
            now.dropped[_TOO_OLD] += removed
            if len(too_old) < len(found):
                return

    def _drop_too_many(self, now: SpoolState, used_before: int) -> None:
        allowed, reason = self._limits.bytes_allowed(used_before, self._path.parent)
        while now.waiting > 1 and (excess := self._tables.used_bytes() - allowed) > 0:
            share = excess * now.waiting // max(1, self._tables.used_bytes())
            removed = self._tables.remove_oldest(min(now.waiting - 1, max(1, share)))
            now.waiting -= removed
            now.dropped[reason] += removed
            if not removed:
                return

    # --- the file

    def _do(self, action: Callable[[], T]) -> T:
        """Do it; if the file is gone or turns out to be damaged, with a new one."""
        with self._lock:
            if not self._tables.is_there():
                self._move()
            try:
                return action()
            except READ_ERRORS as error:
                if not is_damage(error):
                    raise
                self._replace(str(error))
                return action()

    @property
    def _lock_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.lock")

    def _open(self) -> Tables:
        """Open the file, or put it aside and begin a new one."""
        try:
            if not self._path.exists() or not self._path.stat().st_size:
                _LOG.info("%s is a new spool: there is nothing in it yet.", self._path)
            tables = Tables(self._path)
            self._state = state_of(tables, tables.facts())
        except OtherSchemaError as error:
            aside = put_aside(self._path, "other-schema")
            _LOG.error("%s %s. It is kept as %s; a new one is begun.", self._path, error, aside)
            return Tables(self._path)
        except READ_ERRORS as error:
            if not is_damage(error):
                raise
            return self._rescued(str(error), None)
        return tables

    def _replace(self, why: str) -> None:
        """The open file is damaged: go on with a new one and what can be read of the old."""
        self._tables.close()
        self._tables = self._rescued(why, self._new_state())

    def _rescued(self, why: str, known: SpoolState | None) -> Tables:
        aside = put_aside(self._path, "damaged")
        _LOG.error("%s is damaged: %s. It is kept as %s.", self._path, why, aside)
        new = Tables(self._path)
        try:
            old = Tables(aside, to_salvage=True)
        except READ_ERRORS:
            self._take_over(None, new, known or SpoolState())
            return new
        self._take_over(old, new, known or state_of(new, read_facts(old)))
        old.close()
        return new

    def _move(self) -> None:
        """The file was removed or emptied under our feet: what is still open goes into a new one."""
        _LOG.error("%s was removed; its polls go into a new one.", self._path)
        private.make_directory(self._path.parent)
        if not self._lock_path.exists():
            os.close(self._held)
            self._held = hold(self._lock_path)
        if self._path.exists():
            put_aside(self._path, "emptied")
        # A journal that was left would be taken for the new file's, and emptied under the old one.
        discard(self._path)
        new = Tables(self._path)
        try:
            self._take_over(self._tables, new, self._new_state())
        except StorageError:
            new.close()
            discard(self._path)  # half of it; the next attempt begins anew
            raise
        self._tables.close()
        self._tables = new

    def _take_over(self, old: Tables | None, new: Tables, known: SpoolState) -> None:
        """Copy what can be read, and count what cannot.

        An id that was given out names the same poll in the new file, or none: the post that it
        was given out for may be acknowledged after this.
        """
        new.begin_after(max(self._given | {self._acknowledged_id}))
        copied = copy(old, new, self._acknowledged_id) if old is not None else 0
        self._lost |= self._given - {spooled.id for spooled in new.oldest(len(self._given))}
        accounted = known.kept - known.delivered - known.dropped.total()
        lost = accounted - copied
        if lost > 0:
            known.dropped[_DAMAGED] += lost
        known.kept = max(known.kept, known.delivered + known.dropped.total() + copied)
        known.waiting, known.quarantined = copied, 0
        with new.transaction():
            new.set_facts(known.facts())
        _LOG.error("%d polls were saved from the old spool, %d were lost.", copied, max(0, lost))
        self._state = known
        self._layouts.clear()


def _is_timely(poll: Poll, now: SpoolState) -> bool:
    if poll.timestamp_ms < now.newest_ms:
        return False
    now.newest_ms = poll.timestamp_ms
    return True
