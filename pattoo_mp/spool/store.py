"""The spool: polls on disk, from when they leave the channel until every output is done with them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeVar

from pattoo_mp.errors import SpoolError
from pattoo_mp.spool.account import OutputState, SpoolState, output_of
from pattoo_mp.spool.file import SpoolFile
from pattoo_mp.spool.layouts import unpack
from pattoo_mp.spool.limits import JOURNAL_BYTES
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
_UNREADABLE: Final = "damaged in the spool"
#: So many layouts of spokes are kept unpacked: a post has those of one.
_OF_SPOKES: Final = 4


class Spool:
    """Polls in the order of their arrival, for one output or several. Thread-safe.

    Raises `SpoolError` if the file cannot be opened, is of a newer release, or another process uses
    it. Every method may raise one of `StorageError`, and then has changed nothing. A damaged file is
    moved aside, and its readable polls go into a new one, as far as there is room. With a full disk
    the spool still starts; the file is opened once there is room.

    `outputs` are the names of the outputs, in the order of the configuration; `heir` is the one that
    takes over a file of an earlier release, which knew one output. `known` is the account as another
    process knows it. `progress` is called now and then, from any thread, while a large file is read
    or recovered.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        *,
        outputs: Sequence[str],
        heir: str,
        known: SpoolState | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._lock = RLock()
        self._layouts: dict[str, Layout] = {}
        # Those of spokes are too many to be kept unpacked.
        self._of_spokes: dict[str, Layout] = {}
        self._groups: dict[str, tuple[int, int]] | None = None
        # The layouts given last, which are used first: those in the file may be damaged meanwhile.
        self._packed: dict[str, bytes] = {}
        # The layouts that each output needs next.
        self._needed: dict[str, frozenset[str]] = {}
        # The timestamp reserved for each output's next post; missing if it was handed out.
        self._envelope_ms: dict[str, int] = {}
        #: The newest poll of an earlier channel, when polls of this one began to come.
        self._earlier_ms = 0
        #: Why the journal is too large; empty if it is not.
        self.journal_trouble = ""
        try:
            self._file = SpoolFile(
                path, limits, outputs=outputs, heir=heir, known=known, progress=progress
            )
        except OSError as error:
            failed = error.filename or path
            raise SpoolError(
                f"{failed}: {error.strerror}; expected a spool of this agent"
            ) from error
        except sqlite3.Error as error:
            raise SpoolError(f"{path}: {error}; expected a spool of this agent") from error

    def change_outputs(self, outputs: Sequence[str]) -> None:
        """Serve other outputs from now on: see `SpoolFile.change_outputs`."""
        with self._lock:
            self._file.change_outputs(outputs)
            for known in (self._needed, self._envelope_ms, self._file.handed_out, self._file.lost):
                for gone in [name for name in known if output_of(name) not in outputs]:
                    del known[gone]

    def add_place(self, name: str) -> None:
        """Give a client that fetches from an output a place (`place_of`): it gets the polls from now on."""
        self._do(lambda: self._add_place(name))

    def remove_place(self, name: str) -> None:
        """Take a client's place away, with its account. What waited for it alone is removed."""
        self._do(lambda: self._remove_place(name))

    def newest(self, output: str, limit: int) -> list[Spooled]:
        """Return up to `limit` of the newest sound polls that wait for an output, oldest first."""
        return self._do(lambda: self._newest(output, limit))

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
    def groups(self) -> dict[str, tuple[int, int]]:
        """The time of the newest poll (ms), and how many were kept, of each spoke's group."""
        with self._lock:
            if self._groups is None:
                self._groups = self._do(self._read_groups)
            return self._groups

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
        commit reserves the timestamp of each output's next post: see `next_envelope_ms`.

        Polls of that channel that are stored already are skipped: a worker that died between its
        commit and its acknowledgement gets them again. A poll older than one before it is
        dropped and counted, as the server would silently drop it; so is one of a new channel with the
        time of the newest poll of another one.
        """
        return self._do(lambda: self._append(polls, layouts, channel, ledger_snapshot, now_ms))

    def account(self, output: str) -> OutputState:
        """Return the account of an output, to read at once; empty if the file cannot be opened."""
        return self._file.state.outputs.get(output) or OutputState()

    def oldest(self, output: str, limit: int) -> list[Spooled]:
        """Return up to `limit` of the oldest polls that wait for an output, oldest first.

        They stay until the output is done with them. Polls whose bytes have changed are moved into
        quarantine first, for all outputs.
        """
        return self._do(lambda: self._oldest(output, limit))

    def layout(self, identifier: str) -> Layout:
        """Return the layout of a stored poll. Raises `WireError` if it cannot be read."""
        with self._lock:
            known = self._layouts.get(identifier) or self._of_spokes.get(identifier)
            if known is None:
                known = self._unpacked(identifier)
                kept = self._of_spokes if known.compressed else self._layouts
                kept[identifier] = known
                while len(self._of_spokes) > _OF_SPOKES:
                    del self._of_spokes[next(iter(self._of_spokes))]
            return known

    def acknowledge(self, output: str, last_id: int) -> int:
        """Note that an output's server has all polls up to an id; return how many it took.

        That number includes polls lost to damage in the meantime.
        """
        return self._do(lambda: self._done(output, last_id))

    def drop(self, output: str, last_id: int, reason: str) -> int:
        """Give up an output's polls up to an id, for a reason; return how many those were."""
        return self._do(lambda: self._done(output, last_id, reason))

    def take_back(self, output: str, polls: int, reason: str) -> None:
        """Count polls of an output as dropped that were counted as delivered."""
        self._do(lambda: self._take_back(output, polls, reason))

    def set_aside(self, output: str, poll_id: int, reason: str) -> None:
        """Move an output's oldest poll, which its server refuses, into quarantine."""
        self._do(lambda: self._set_aside(output, poll_id, reason))

    def set_aside_unreadable(self, poll_id: int, reason: str) -> None:
        """Move a poll into quarantine, for all outputs that wait for it."""
        self._do(lambda: self._set_aside_for_all(poll_id, reason))

    def next_envelope_ms(self, output: str, now_ms: int) -> int:
        """Return a timestamp for a post: `now_ms`, or later if that was used before.

        The server names its files by it and would overwrite one of the same name. So the timestamp
        grows across restarts and clock steps: it is stored before it is returned. If the last
        `append` has reserved one, that is returned; otherwise this takes a separate commit.
        """
        return self._do(lambda: self._next_envelope_ms(output, now_ms))

    def note_envelope_ms(self, output: str, used_ms: int) -> None:
        """Note a timestamp of a post that the file could not store; raises nothing.

        The copy of the account can be written on a full disk as well. So the next process does not use
        the timestamp again, even if the clock was set back.
        """
        with self._lock:
            now = self.state
            now.outputs.setdefault(output, OutputState()).envelope_ms = used_ms
            self._file.note(now)

    def close(self) -> None:
        """Close the file and release the lock."""
        with self._lock:
            self._file.close()

    # --- with the lock held

    def _unpacked(self, identifier: str) -> Layout:
        packed = self._packed.get(identifier)
        if packed is None:
            packed = self._do(lambda: self._file.tables.layouts.read_packed(identifier))
        return unpack(identifier, packed, self.layout)

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
        earlier_ms = self._earlier_ms
        if now.channel != channel:
            earlier_ms = now.newest_ms
            now.channel, now.sequence, now.kept_of_channel = channel, 0, 0
        new = [(sequence, poll) for sequence, poll in polls if sequence > now.sequence]
        if not new and ledger_snapshot in {"", now.book}:
            return 0
        self._check_journal()
        groups: dict[str, tuple[int, int]] = {}
        timely = [poll for _, poll in new if self._is_timely(poll, now, earlier_ms, groups)]
        now.sequence = new[-1][0] if new else now.sequence
        now.book = ledger_snapshot or now.book
        now.kept += len(new)
        now.kept_of_channel += len(new)
        for output in now.outputs.values():
            output.kept += len(new)
            output.waiting += len(timely)
            output.drop(_OLDER, len(new) - len(timely))
            if now_ms:
                output.envelope_ms = max(now_ms, output.envelope_ms + 1)
        used_before = self._file.tables.used_bytes()
        with self._file.transaction(now) as tables:
            tables.add(timely, layouts)
            tables.set_groups(groups)
            self.limits.drop_from_quarantine(tables.quarantine, now)
            if age_is_known:
                self.limits.drop_too_old(tables, now)
            self.limits.drop_too_many(tables, now, used_before, self._path.parent)
        self._earlier_ms = earlier_ms
        self._note_groups(groups)
        # Polls dropped now stay dropped, whatever becomes of their post or of the file.
        oldest = self._file.tables.oldest_id()
        for name, ids in self._file.handed_out.items():
            self._file.handed_out[name] = frozenset(i for i in ids if i >= oldest)
        self._packed = dict(layouts)
        self._envelope_ms = {}
        if now_ms:
            self._envelope_ms = {name: output.envelope_ms for name, output in now.outputs.items()}
        return len(new)

    def _read_groups(self) -> dict[str, tuple[int, int]]:
        return self._file.tables.groups()  # the tables may be those of a new file by now

    def _note_groups(self, groups: dict[str, tuple[int, int]]) -> None:
        if groups:
            self.groups.update(groups)

    def _is_timely(
        self,
        poll: Poll,
        now: SpoolState,
        earlier_ms: int,
        groups: dict[str, tuple[int, int]],
    ) -> bool:
        """Whether a poll is newer than those before it: of its group, if it is a spoke's.

        `groups` gets what changes.
        """
        if not poll.group:
            return _is_timely(poll, now, earlier_ms)
        newest_ms, kept = groups.get(poll.group) or self.groups.get(poll.group) or (0, 0)
        is_timely = poll.timestamp_ms > newest_ms
        groups[poll.group] = max(newest_ms, poll.timestamp_ms), kept + 1
        now.newest_ms = max(now.newest_ms, poll.timestamp_ms)
        return is_timely

    def _oldest(self, output: str, limit: int) -> list[Spooled]:
        while True:
            here = self._file.state.outputs[output]
            found = self._file.tables.oldest(limit, here.done_id)
            if len(found) < min(limit, here.waiting):
                raise MissingRowsError("polls are missing")
            damaged = [spooled for spooled in found if not spooled.sound]
            if not damaged:
                self._file.handed_out[output] = frozenset(s.id for s in found)
                self._file.lost.pop(output, None)
                self._keep_layouts_of(output, found)
                return found
            for spooled in damaged:
                if not self._set_aside_for_all(spooled.id, _UNREADABLE):
                    raise MissingRowsError(f"poll {spooled.id} is listed but cannot be moved")

    def _newest(self, output: str, limit: int) -> list[Spooled]:
        found = self._file.tables.newest(limit, self._file.state.outputs[output].done_id)
        return [spooled for spooled in found if spooled.sound]

    def _add_place(self, name: str) -> None:
        now = self.state
        now.outputs[name] = OutputState(done_id=self._file.tables.newest_id())
        with self._file.transaction(now):
            pass  # only the account changes

    def _remove_place(self, name: str) -> None:
        now = self.state
        del now.outputs[name]
        with self._file.transaction(now) as tables:
            tables.quarantine.remove_output(name)
            tables.remove(now.done_id)
        for known in (self._needed, self._file.handed_out, self._file.lost):
            known.pop(name, None)

    def _keep_layouts_of(self, output: str, polls: list[Spooled]) -> None:
        """Keep only layouts needed next in memory: an outage may have more than fit into it."""
        layouts = self._file.tables.layouts
        self._needed[output] = layouts.with_parts({s.poll.layout_id for s in polls})
        layouts.handed_out = frozenset().union(*self._needed.values())
        # The next polls most often have the layouts that were given last.
        needed = layouts.handed_out | self._packed.keys()
        self._layouts = {i: kept for i, kept in self._layouts.items() if i in needed}

    def _done(self, output: str, last_id: int, reason: str = "") -> int:
        """Note that an output is done with all polls up to an id: delivered, or dropped."""
        now = self.state
        here = now.outputs[output]
        # These were counted as dropped when they were lost.
        lost = self._file.lost.get(output, {})
        arrived = Counter(why for poll_id, why in lost.items() if poll_id <= last_id)
        with self._file.transaction(now) as tables:
            removed = tables.count(here.done_id, last_id)
            if reason:
                here.drop(reason, removed)
            else:
                here.delivered_ms = tables.newest_ms(last_id) or here.delivered_ms
                here.delivered += removed + arrived.total()
                here.dropped -= arrived
            here.waiting -= removed
            here.done_id = max(here.done_id, last_id)
            self._needed.pop(output, None)
            tables.layouts.handed_out = frozenset().union(*self._needed.values())
            tables.remove(now.done_id)
        self._file.handed_out.pop(output, None)
        self._file.lost.pop(output, None)
        self._file.tables.give_back_pages()
        return removed + arrived.total()

    def _take_back(self, output: str, polls: int, reason: str) -> None:
        now = self.state
        here = now.outputs[output]
        here.delivered -= polls
        here.drop(reason, polls)
        with self._file.transaction(now):
            pass  # only the account changes

    def _set_aside(self, output: str, poll_id: int, reason: str) -> int:
        """Move an output's oldest poll into its quarantine; return how many were moved (0 or 1)."""
        others = [o for name, o in self._file.state.outputs.items() if name != output]
        if all(other.done_id >= poll_id for other in others):
            return self._set_aside_for_all(poll_id, reason)
        now = self.state
        here = now.outputs[output]
        with self._file.transaction(now) as tables:
            if tables.oldest_id(here.done_id) != poll_id:
                raise ValueError(f"poll {poll_id} is not the oldest one; expected that")
            self._quarantine(tables, now, [output], poll_id, reason)
            here.done_id = poll_id
            self.limits.drop_from_quarantine(tables.quarantine, now)
        return 1

    def _set_aside_for_all(self, poll_id: int, reason: str) -> int:
        """Move a poll into the quarantine of all outputs that wait for it."""
        now = self.state
        waiting = [name for name, output in now.outputs.items() if output.done_id < poll_id]
        with self._file.transaction(now) as tables:
            moved = self._quarantine(tables, now, waiting, poll_id, reason)
            tables.remove_one(poll_id)
            self.limits.drop_from_quarantine(tables.quarantine, now)
        return moved

    def _quarantine(
        self, tables: Tables, now: SpoolState, outputs: list[str], poll_id: int, reason: str
    ) -> int:
        moved = 0
        for name in outputs:
            moved = tables.quarantine.add(poll_id, reason, name)
            now.outputs[name].waiting -= moved
            now.outputs[name].quarantined += moved
        return moved

    def _next_envelope_ms(self, output: str, now_ms: int) -> int:
        kept = self._envelope_ms.pop(output, 0)
        now = self.state
        here = now.outputs[output]
        if kept and kept == here.envelope_ms:  # still the newest, and not handed out
            return kept
        self._check_journal()
        here.envelope_ms = max(now_ms, here.envelope_ms + 1)
        with self._file.transaction(now):
            pass  # only the account changes
        return here.envelope_ms

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


def _is_timely(poll: Poll, now: SpoolState, earlier_ms: int) -> bool:
    """Whether a poll is newer than those before it. Polls of several intervals may have one time.

    But none has a time up to `earlier_ms`, that of the newest poll of another channel: if the clock was
    set back, a control process that did not know of that poll has polled the same tick again.
    """
    if poll.timestamp_ms < now.newest_ms or poll.timestamp_ms <= earlier_ms:
        return False
    now.newest_ms = poll.timestamp_ms
    return True
