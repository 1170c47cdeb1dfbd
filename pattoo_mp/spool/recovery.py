"""What to do with a spool's file that is damaged, of another release, or gone."""

from __future__ import annotations

import errno
import logging
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import WireError
from pattoo_mp.spool.account import SpoolState, state_of
from pattoo_mp.spool.tables import Tables
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pattoo_mp.spool.limits import Limits, Room
    from pattoo_mp.spool.tables import Spooled, Uses

_LOG = logging.getLogger(__name__)

#: What is read, and committed, at a time: so many rows, and about so many bytes.
_BATCH: Final = 2000
_BATCH_BYTES: Final = 1 << 20
#: So much of layouts is kept for the polls to come; a host of 10,000 series has one of 2 MB.
_LAYOUTS_BYTES: Final = 1 << 24
#: No spool ever gave so many ids; it ends the leaps.
_ID_LIMIT: Final = 2**40
#: Result codes (their low byte) that no second attempt mends; see sqlite.org/rescode.html.
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class MissingRowsError(Exception):
    """The file does not hold what was put into it, be it polls or the account, and does not know."""


#: What reading a damaged file may raise; a UnicodeDecodeError is for a text, or SQLite's own
#: message, with bytes of the damage in it.
READ_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, MissingRowsError)


def is_damage(error: Exception) -> bool:
    """Whether the file's content is to blame, and not the disk or another process."""
    if not isinstance(error, sqlite3.Error):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # Not SQLite's word but Python's: a text that is not UTF-8.
        return "decode" in str(error)
    # A schema that lost a table is an SQLITE_ERROR for every statement of ours, which are right.
    lost = code == sqlite3.SQLITE_ERROR and "no such" in str(error)
    # A file or a journal that was cut off; of all I/O errors the one that no disk is to blame for.
    return code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ or lost


def is_want_of_room(error: Exception) -> bool:
    """Whether another attempt may find more room on the disk."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    # A quota, and a disk without room for the index of a journal, are I/O errors to SQLite.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


def put_aside(path: Path, why: str) -> Path:
    """Rename the file and its journal; the new name says why and when. Raises `OSError`."""
    aside = path.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%dT%H%M%S')}")
    number = 0
    while aside.exists():
        number += 1
        aside = aside.with_suffix(f".{number}")
    put_in_place(path, aside)
    return aside


def put_in_place(source: Path, target: Path) -> None:
    """Rename a file that nobody has open to a name that nothing has. Raises `OSError`."""
    # The file itself goes last: where it is, all of it is.
    for part in ("-wal", "-shm", ""):
        found = source.with_name(source.name + part)
        if found.exists():
            found.rename(target.with_name(target.name + part))


def discard(path: Path) -> None:
    """Remove the file and its journal, as far as they are there. Raises `OSError`."""
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)


def read_facts(tables: Tables) -> dict[str, Any]:
    """The facts of a damaged file, as far as they can be read and are what they should be."""
    found: dict[str, object] = {}
    for name in SpoolState().facts():
        with suppress(*READ_ERRORS):
            found[name] = tables.fact(name)
    return {name: value for name, value in found.items() if isinstance(value, (int, str))}


@dataclass(slots=True)
class Salvaged:
    """How many polls were saved, and for how many more that could be read there was no room."""

    saved: int = 0
    crowded_out: int = 0


def copy(
    old: Tables, new: Tables, after: int, most_bytes: int, progress: Callable[[], None]
) -> Salvaged:
    """Copy every sound poll that can be read from one file to another, which may grow so large.

    Where that is too little the newest stay, as in any spool that is full. `progress` is called again
    and again.

    Those up to the id `after` are not wanted any more: a file that lost its journal is an older
    one, and still has polls that were delivered since. Each keeps its id: a post of some of them
    may be under way, and is acknowledged by it. Raises `sqlite3.Error` if the new file does not take them.
    """
    layouts: dict[str, bytes | None] = {}
    found = Salvaged()
    for batch in _batches(old, after):
        progress()
        for polls, size in _portions(old, batch, layouts):
            packed = {name: content for name, content in layouts.items() if content is not None}
            sound = [s for s in polls if s.sound and s.poll.layout_id in packed]
            with new.transaction():
                went = new.shrink(most_bytes - size, found.saved)
                came = new.restore(sound, packed) if sound else 0
            found.saved += came - went
            found.crowded_out += went
            if sum(map(len, packed.values())) > _LAYOUTS_BYTES:
                layouts.clear()
            progress()
    return found


def _portions(
    old: Tables, batch: Sequence[Spooled], layouts: dict[str, bytes | None]
) -> Iterator[tuple[list[Spooled], int]]:
    """Parts of a batch that are no larger with what they need: these polls, and the bytes to come.

    Their layouts are in `layouts`: those that are missing there are read.
    """
    part: list[Spooled] = []
    size = 0
    for spooled in batch:
        name = spooled.poll.layout_id
        if name not in layouts:
            layouts[name] = _layout(old, name)
            size += len(layouts[name] or b"")
        part.append(spooled)
        size += len(spooled.poll.packed)
        if size >= _BATCH_BYTES:
            yield part, size
            part, size = [], 0
    if part:
        yield part, size


def _batches(old: Tables, last: int) -> Iterator[list[Spooled]]:
    """Read all that can be read: up to a damaged page row by row, and leap over it.

    What could not be read is an empty batch: a disk that is ill may take long to say so.
    """
    size, leap = 1, 1
    while last < _ID_LIMIT:
        try:
            batch = [row for row in old.oldest(size, last) if last < row.id < _ID_LIMIT]
        except READ_ERRORS:
            if size == 1:
                last += leap
                leap *= 2
            size = 1
            yield []
            continue
        if not batch:
            return
        yield batch
        fitting = _BATCH_BYTES * len(batch) // max(1, _bytes(batch))
        last, leap = max(row.id for row in batch), 1
        size = max(1, min(size * 2, fitting, _BATCH))


def _bytes(polls: Sequence[Spooled]) -> int:
    return sum(len(spooled.poll.packed) for spooled in polls)


def _layout(old: Tables, identifier: str) -> bytes | None:
    try:
        return old.layout(identifier).packed
    except (WireError, *READ_ERRORS):
        return None


# Makes the file that takes the place of one that is damaged, removed or emptied.
#
# It is made beside that one, within the room that there is: all that can be read, and the account with
# what cannot.

#: An attempt that failed may have written much: a disk that is ill, or full, is left alone so long.
_REST_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Old:
    """What is to be replaced: the rows, if there are any, and the account as far as it is known.

    `reason` is that for which polls are dropped that cannot be read. `given` holds the ids that were
    given out last.
    """

    tables: Tables | None
    known: SpoolState
    reason: str
    given: frozenset[int]


@dataclass(frozen=True, slots=True)
class Recovered:
    """The account of the new file, which of the ids that were given out are not in it, and its layouts."""

    state: SpoolState
    lost: frozenset[int]
    uses: Uses


class Recovery:
    """Makes the file `path`, again if need be. `progress` is called again and again meanwhile."""

    def __init__(self, path: Path, progress: Callable[[], None]) -> None:
        self._path = path
        self._progress = progress
        self._failed = ""
        self._rest_until = 0.0

    def make(self, old: Old, limits: Limits) -> Recovered:
        """Make it, whole or not at all.

        An id that was given out names the same poll in the new file, or none: the post that it was
        given out for may be acknowledged after this. Raises `sqlite3.Error`, `OSError`.
        """
        discard(self._path)
        room = limits.room_beside(_size(old.tables), self._path.parent)
        if time.monotonic() < self._rest_until:
            raise sqlite3.OperationalError(self._failed)
        try:
            with closing(Tables(self._path, to_fill=True)) as new:
                return _fill(new, old, room, self._progress)
        except BaseException as error:
            discard(self._path)  # on a disk that is full it would stand in its own way
            self._failed, self._rest_until = str(error), time.monotonic() + _REST_S
            raise


def _fill(new: Tables, old: Old, room: Room, progress: Callable[[], None]) -> Recovered:
    known, found = old.known, Salvaged()
    if old.tables is not None and not known.commits:
        known = state_of(new, read_facts(old.tables), progress)
    new.begin_after(max(old.given | {known.acknowledged_id}))
    if old.tables is not None:
        _LOG.info("What can be read of the spool is saved; that may take a while.")
        found = copy(old.tables, new, known.acknowledged_id, room.most_bytes, progress)
    state = _settled(known, found, old.reason, room.reason)
    state.oldest_ms = new.oldest_ms()
    with new.transaction():
        new.set_facts(state.facts())
    return Recovered(state, _lost(old.given, new, found), new.uses)


def _lost(given: frozenset[int], new: Tables, found: Salvaged) -> frozenset[int]:
    """Which of these ids a damage has taken.

    What had no room was older. It is dropped whatever comes of its post, as in any spool that is full.
    """
    first = new.oldest(1)[0].id if found.crowded_out else 0
    there = {spooled.id for spooled in new.oldest(len(given))}
    return frozenset(missing for missing in given - there if missing >= first)


def _settled(known: SpoolState, found: Salvaged, reason: str, no_room: str) -> SpoolState:
    """The account once what was found is saved, and the rest is counted as dropped."""
    state = known.copy()
    lost = state.lost(found.saved + found.crowded_out)
    state.drop(reason, lost)
    state.drop(no_room, found.crowded_out)
    state.kept = max(state.kept, state.delivered + state.dropped.total() + found.saved)
    state.waiting, state.quarantined = found.saved, 0
    state.commits += 1
    _LOG.log(
        logging.ERROR if lost or found.crowded_out else logging.WARNING,
        "Saved from the old spool: %s; lost: %d; without room: %d.",
        counted(found.saved, "poll"),
        lost,
        found.crowded_out,
    )
    return state


def _size(tables: Tables | None) -> int:
    """How large a file is (bytes), as far as it can tell."""
    with suppress(*READ_ERRORS):
        return 0 if tables is None else tables.used_bytes()
    return 0
