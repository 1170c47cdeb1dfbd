"""Makes the file that takes the place of one that is damaged, removed or emptied.

It is made beside that one, within the room that there is: all that can be read, and the account with
what cannot.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.spool.account import state_of
from pattoo_mp.spool.salvage import READ_ERRORS, Salvaged, copy, discard, read_facts
from pattoo_mp.spool.tables import Tables
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pattoo_mp.spool.account import SpoolState
    from pattoo_mp.spool.limits import Limits, Room
    from pattoo_mp.spool.uses import Uses

_LOG = logging.getLogger(__name__)

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
class Rescued:
    """The account of the new file, which of the ids that were given out are not in it, and its layouts."""

    state: SpoolState
    lost: frozenset[int]
    uses: Uses


class Rescue:
    """Makes the file `path`, again if need be. `progress` is called again and again meanwhile."""

    def __init__(self, path: Path, progress: Callable[[], None]) -> None:
        self._path = path
        self._progress = progress
        self._failed = ""
        self._rest_until = 0.0

    def make(self, old: Old, limits: Limits) -> Rescued:
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


def _fill(new: Tables, old: Old, room: Room, progress: Callable[[], None]) -> Rescued:
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
    return Rescued(state, _lost(old.given, new, found), new.uses)


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
