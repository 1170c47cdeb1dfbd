"""Recovery of a spool file that is damaged, removed, emptied, or of another release.

A new file is made beside the old one, within the room on the disk. It gets every poll that can be
read, and the account with the polls that cannot. `file.py` decides when this is done, and puts the
new file in the old one's place.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import WireError
from pattoo_mp.model import Layout, is_divided, part_identifiers
from pattoo_mp.spool.account import FACTS, OutputState, state_of
from pattoo_mp.spool.tables import Tables
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pattoo_mp.spool.account import SpoolState
    from pattoo_mp.spool.layouts import LayoutUse
    from pattoo_mp.spool.limits import Limits, SizeLimit
    from pattoo_mp.spool.tables import Spooled

_LOG = logging.getLogger(__name__)

#: The wait after a failed attempt, which may have written much to a disk that is failing or full.
_PAUSE_S: Final = 30.0
#: Polls are read and committed in batches of at most so many rows and about so many bytes.
_BATCH: Final = 2000
_BATCH_BYTES: Final = 1 << 20
#: Layouts kept in memory for later polls. A host with 10,000 series has one of 2 MB.
_LAYOUTS_BYTES: Final = 1 << 24
#: No spool ever had so many ids. Skipping over damage ends here.
_ID_LIMIT: Final = 2**40
#: Result codes (low byte) of a damaged file; see sqlite.org/rescode.html.
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class MissingRowsError(Exception):
    """Polls or the account are missing from a file that SQLite considers sound."""


#: What reading a damaged file may raise. A UnicodeDecodeError comes from damaged bytes in a text or
#: in SQLite's message.
READ_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, MissingRowsError)


@dataclass(frozen=True, slots=True)
class OldSpool:
    """The spool to replace: its rows, if there are any, and its account as far as it is known.

    Unreadable polls are counted as dropped for `reason`. `handed_out` holds the ids last handed out
    to each output. If no account can be read, every poll waits for all `outputs`.
    """

    tables: Tables | None
    known: SpoolState
    reason: str
    handed_out: dict[str, frozenset[int]]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recovered:
    """The new file: its account, each output's handed-out ids missing in it, and its layouts' use."""

    state: SpoolState
    lost: dict[str, frozenset[int]]
    use: LayoutUse


@dataclass(slots=True)
class _Copied:
    """How many polls were copied, and how many readable ones had no room, in all and by output.

    `after` holds the id up to which each output is done.
    """

    after: dict[str, int]
    copied: int = 0
    without_room: Counter[str] = field(default_factory=Counter)


class Recovery:
    """Makes the new file at `path`, repeatedly if necessary, and calls `progress` meanwhile."""

    def __init__(self, path: Path, progress: Callable[[], None]) -> None:
        self._path = path
        self._progress = progress
        self._failed = ""
        self._pause_until = 0.0

    def make(self, old: OldSpool, limits: Limits) -> Recovered:
        """Make the file, completely or not at all.

        A handed-out id names the same poll in the new file, or none: its post may be acknowledged
        later. Raises `sqlite3.Error`, `OSError`.
        """
        discard(self._path)
        limit = limits.replacement_limit(_size(old.tables), self._path.parent)
        if time.monotonic() < self._pause_until:
            raise sqlite3.OperationalError(self._failed)
        try:
            with closing(Tables(self._path, bulk_load=True)) as new:
                return _fill(new, old, limit, self._progress)
        except BaseException as error:
            discard(self._path)  # it would take room from the next attempt
            self._failed, self._pause_until = str(error), time.monotonic() + _PAUSE_S
            raise


def _fill(new: Tables, old: OldSpool, limit: SizeLimit, progress: Callable[[], None]) -> Recovered:
    known = old.known
    if old.tables is not None and not known.commits:
        known = state_of(new, _read_facts(old.tables), progress)
    known = known.copy()
    known.outputs = known.outputs or {name: OutputState() for name in old.outputs}
    result = _Copied({name: output.done_id for name, output in known.outputs.items()})
    new.reserve_ids(max({0, *result.after.values()}.union(*old.handed_out.values())))
    if old.tables is not None:
        _LOG.info("Recovering the polls of the old spool; this may take a while.")
        _copy_polls(old.tables, new, limit.max_bytes, result, progress)
    state = _final_account(known, new, result, old.reason, limit.reason)
    with new.transaction():
        new.set_facts(state.facts())
        if old.tables is not None:
            with suppress(*READ_ERRORS):
                new.set_groups(old.tables.groups())
    lost = {name: _lost_ids(ids, new, result) for name, ids in old.handed_out.items()}
    return Recovered(state, lost, new.layouts.use)


def _lost_ids(handed_out: frozenset[int], new: Tables, result: _Copied) -> frozenset[int]:
    """Return which of the handed-out ids were lost to damage.

    Polls without room were older. They stay dropped whatever becomes of their post, as in any full
    spool.
    """
    if not handed_out:
        return handed_out
    first = new.oldest(1)[0].id if result.without_room else 0
    present = {spooled.id for spooled in new.oldest(len(handed_out), min(handed_out) - 1)}
    return frozenset(missing for missing in handed_out - present if missing >= first)


def _final_account(
    known: SpoolState, new: Tables, result: _Copied, reason: str, no_room: str
) -> SpoolState:
    """Return the account after recovery, with the missing polls counted as dropped."""
    state = known.copy()
    state.commits += 1
    newest, lost = new.newest_id(), 0
    for name, output in state.outputs.items():
        without_room = result.without_room[name]
        output.waiting = new.count(output.done_id, newest)
        output.oldest_ms = new.oldest_ms(output.done_id)
        output.quarantined = 0
        lost_here = output.lost(output.waiting + without_room)
        lost = max(lost, lost_here)
        output.drop(reason, lost_here)
        output.drop(no_room, without_room)
        explained = output.delivered + output.dropped.total() + output.waiting
        output.kept = max(output.kept, explained)
        state.kept = max(state.kept, output.kept)
    without_room = max(result.without_room.values(), default=0)
    _LOG.log(
        logging.ERROR if lost or without_room else logging.WARNING,
        "Recovered from the old spool: %s; lost: %d; without room: %d.",
        counted(result.copied, "poll"),
        lost,
        without_room,
    )
    return state


def _size(tables: Tables | None) -> int:
    """Return the size of a file in bytes, or 0 if it cannot be read."""
    with suppress(*READ_ERRORS):
        return 0 if tables is None else tables.used_bytes()
    return 0


# --- reading a damaged file


def _read_facts(tables: Tables) -> dict[str, Any]:
    """Return the facts of a damaged file that can be read and have a valid type."""
    found: dict[str, object] = {}
    for name in FACTS:
        with suppress(*READ_ERRORS):
            found[name] = tables.fact(name)
    return {name: value for name, value in found.items() if isinstance(value, (int, str))}


def _copy_polls(
    old: Tables, new: Tables, max_bytes: int, result: _Copied, progress: Callable[[], None]
) -> None:
    """Copy every sound poll that can be read; the new file may grow to `max_bytes`.

    If that is too little, the newest polls stay, as in any full spool.

    Polls that no output waits for are skipped: a file that lost its journal is an older version,
    which still has polls delivered since. Each poll keeps its id, by which a post that is under way is
    acknowledged later. Raises `sqlite3.Error` if the new file cannot be written.
    """
    layouts: dict[str, bytes | None] = {}

    def count_without_room(last_id: int) -> None:
        for name, done_id in result.after.items():
            result.without_room[name] += new.count(done_id, last_id)

    for batch in _batches(old, min(result.after.values(), default=0)):
        progress()
        for polls, size in _parts(old, batch, layouts):
            packed = {name: content for name, content in layouts.items() if content is not None}
            sound = [s for s in polls if s.sound and s.poll.layout_id in packed]
            with new.transaction():
                removed = new.shrink(max_bytes - size, result.copied, count_without_room)
                added = new.restore(sound, packed) if sound else 0
            result.copied += added - removed
            if sum(map(len, packed.values())) > _LAYOUTS_BYTES:
                layouts.clear()
            progress()


def _parts(
    old: Tables, batch: Sequence[Spooled], layouts: dict[str, bytes | None]
) -> Iterator[tuple[list[Spooled], int]]:
    """Split a batch by size; yield polls and their bytes, including layouts that are new.

    Missing layouts are read into `layouts`.
    """
    part: list[Spooled] = []
    size = 0
    for spooled in batch:
        name = spooled.poll.layout_id
        if name not in layouts:
            size += _read_layout(old, name, layouts)
        part.append(spooled)
        size += len(spooled.poll.packed)
        if size >= _BATCH_BYTES:
            yield part, size
            part, size = [], 0
    if part:
        yield part, size


def _batches(old: Tables, last: int) -> Iterator[list[Spooled]]:
    """Read all polls that can be read. Before damage, go row by row; then skip over it.

    Each failed read yields an empty batch, as a failing disk may take long to report an error.
    """
    size, skip = 1, 1
    while last < _ID_LIMIT:
        try:
            batch = [row for row in old.oldest(size, last) if last < row.id < _ID_LIMIT]
        except READ_ERRORS:
            if size == 1:
                last += skip
                skip *= 2
            size = 1
            yield []
            continue
        if not batch:
            return
        yield batch
        fitting = _BATCH_BYTES * len(batch) // max(1, _bytes(batch))
        last, skip = max(row.id for row in batch), 1
        size = max(1, min(size * 2, fitting, _BATCH))


def _bytes(polls: Sequence[Spooled]) -> int:
    return sum(len(spooled.poll.packed) for spooled in polls)


def _read_layout(old: Tables, identifier: str, layouts: dict[str, bytes | None]) -> int:
    """Read a layout into `layouts`, with its parts; None if any of it cannot be read.

    Return the bytes that were read.
    """
    size = 0
    packed = b""
    parts: list[bytes | None] = []
    try:
        packed = old.layouts.read_packed(identifier)
        if not is_divided(identifier):
            packed = Layout.unpack(packed).packed
        for part in part_identifiers(packed) if is_divided(identifier) else ():
            if part not in layouts:
                size += _read_layout(old, part, layouts)
            parts.append(layouts[part])
    except (WireError, *READ_ERRORS):
        parts.append(None)
    if None in parts:
        layouts[identifier] = None
        return size
    layouts[identifier] = packed
    return size + len(packed)


# --- kinds of errors


def is_damage(error: Exception) -> bool:
    """Whether the file's content caused an error, and not the disk or another process."""
    if not isinstance(error, sqlite3.Error):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # From Python, not from SQLite: a text that is not valid UTF-8.
        return "decode" in str(error)
    # Our statements are correct, so an SQLITE_ERROR means that the schema has lost a table.
    lost = code == sqlite3.SQLITE_ERROR and "no such" in str(error)
    # A short read means a truncated file or journal; all other I/O errors are the disk's.
    return code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ or lost


def is_lack_of_room(error: Exception) -> bool:
    """Whether an error may go away when there is more room on the disk."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    # SQLite reports a quota, and lack of room for a journal's index, as I/O errors.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


# --- moving files


def move_aside(path: Path, why: str) -> Path:
    """Rename the file and its journal to a name with reason and time. Raises `OSError`."""
    aside = path.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%dT%H%M%S')}")
    number = 0
    while aside.exists():
        number += 1
        aside = aside.with_suffix(f".{number}")
    move(path, aside)
    return aside


def move(source: Path, target: Path) -> None:
    """Rename a closed file and its journal to an unused name. Raises `OSError`."""
    # The file itself goes last: where it is, its journal is, too.
    for part in ("-wal", "-shm", ""):
        found = source.with_name(source.name + part)
        if found.exists():
            found.rename(target.with_name(target.name + part))


def discard(path: Path) -> None:
    """Remove the file and its journal, if they exist. Raises `OSError`."""
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)
