"""Whose spool it is: a lock that lives as long as its process."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from pattoo_mp.errors import SpoolError
from pattoo_mp.spool.account import AccountCopy, SpoolState, is_sound, state_of
from pattoo_mp.spool.recovery import (
    READ_ERRORS,
    MissingRowsError,
    Old,
    Recovered,
    Recovery,
    discard,
    is_damage,
    is_want_of_room,
    put_aside,
    put_in_place,
)
from pattoo_mp.spool.tables import OtherSchemaError, Tables
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.spool.limits import Limits

_LOG = logging.getLogger(__name__)

#: An uploader whose control was killed may still be keeping what it holds.
_PREDECESSOR_S: Final = 5.0
_LOOK_S: Final = 0.05
_NUMBER_BYTES: Final = 20


def lock_path(spool: Path) -> Path:
    """Where the lock of a spool lies."""
    return spool.with_name(f"{spool.name}.lock")


def acquire_lock(path: Path) -> int:
    """Take the lock on `path`; the descriptor that is returned holds it until it is closed.

    Its directory is made, if somebody removed it while an agent runs.
    Raises `OSError`, or `SpoolError` if another process has it; then nothing is left open.
    """
    files.make_directory(path.parent)
    descriptor = files.open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        _lock(descriptor, path)
    except BaseException:
        os.close(descriptor)  # a lock that nobody knows of would lock out its own process
        raise
    # The number is for people. A disk without room for it must not cost the lock.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def lock_holder(path: Path) -> int | None:
    """The process that holds the lock on `path`, 0 if it is not known which; None if nobody does.

    Not for the holder itself. There is no other way to ask for a flock(2) than to try: it is a
    shared one, for a moment, and who starts then tries again.
    """
    try:
        descriptor = files.open_file(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _number(descriptor)
    finally:
        os.close(descriptor)
    return None


def is_locked(descriptor: int, path: Path) -> bool:
    """Whether the lock is still the one that others would find. Raises `OSError`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, path: Path) -> None:
    until = time.monotonic() + _PREDECESSOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise SpoolError(
                    f"{path}: another agent uses this spool (process "
                    f"{_number(descriptor) or 'unknown'}); "
                    f"expected one of our own"
                ) from error
            time.sleep(_LOOK_S)
        else:
            return


def _number(descriptor: int) -> int:
    """What the holder has written into the file; 0 if that is no number."""
    text = os.pread(descriptor, _NUMBER_BYTES, 0).strip()
    return int(text) if text.isdigit() else 0


# The spool's file, open, and the account that goes with it.
#
# A file that turns out to be damaged, removed or emptied is replaced: what can be read of it goes
# into a new one, which is made beside it and takes its place only when it is whole. So whoever is
# killed in between begins anew, and nothing is lost by that.
T = TypeVar("T")

_DAMAGED: Final = "the spool was damaged"
_REMOVED: Final = "the spool was removed"
_OTHER: Final = "in another release's spool"


class SpoolFile:
    """One file at `path`, of this process alone. Not for several threads at a time.

    `given` holds the ids that were given out last, and `lost` what of them is gone since, each with
    the reason for which it is counted as dropped: a post of them may be under way, and its answer
    come yet.
    `known` is the account as somebody else knows it; the newest one counts. `limits` bound what is
    saved into a new file. On a disk without room to open it, it is opened as soon as there is.
    `progress` is called again and again while the file is read as a whole, or saved: only then does
    it take long to open. The journal of a commit or two is recovered at once.
    Raises `SpoolError`, `OSError`, `sqlite3.Error`.
    """

    def __init__(
        self, path: Path, limits: Limits, known: SpoolState | None, progress: Callable[[], None]
    ) -> None:
        self._path = path
        self._beside = path.with_name(f"{path.name}.new")
        self._rescue = Recovery(self._beside, self._go_on)
        self._copy = AccountCopy(path.with_name(f"{path.name}.account"))
        self._progress = progress
        #: When such work went on last (`time.monotonic`).
        self.progressed_at = 0.0
        self.limits = limits
        self.state = known or SpoolState()
        self.given: frozenset[int] = frozenset()
        self.lost: dict[int, str] = {}
        #: Whether `state` is the file's, and not yet what others know of it.
        self.is_known = False
        self._held: int | None = None
        self._tables: Tables | None = None
        try:
            _ = self.tables
        except Exception as error:
            if not is_want_of_room(error):
                self.close()
                raise

    @property
    def tables(self) -> Tables:
        """The rows. Only to be asked for inside of `do`."""
        if self._tables is None:
            self._hold()
            self._tables = self._open()
            self.is_known = True
        return self._tables

    def do(self, action: Callable[[], T]) -> T:
        """Do it; if the file is gone or turns out to be damaged, with a new one."""
        if not self.tables.is_there():
            self._move()
        try:
            return action()
        except READ_ERRORS as error:
            if not is_damage(error):
                raise
            self._replace(str(error))
            return action()

    @contextmanager
    def transaction(self, now: SpoolState) -> Iterator[Tables]:
        """Change the rows, and the account to `now`, as a whole or not at all."""
        now.commits += 1
        with self.tables.transaction():
            yield self.tables
            now.oldest_ms = self.tables.oldest_ms()
            self.tables.set_facts(now.facts())
        self.state = now
        self._copy.write(now)

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._close()
        if self._held is not None:
            os.close(self._held)
            self._held = None

    @property
    def _lock_path(self) -> Path:
        return lock_path(self._path)

    def _go_on(self) -> None:
        self.progressed_at = time.monotonic()
        self._progress()

    def _hold(self) -> None:
        """Have the lock, and have it where others look for it."""
        if self._held is None:
            self._held = acquire_lock(self._lock_path)
        elif not is_locked(self._held, self._lock_path):
            # The new one first: where it is not to be had, the old one is closed once, and later.
            held, self._held = self._held, acquire_lock(self._lock_path)
            os.close(held)

    def _close(self) -> None:
        if self._tables is not None:
            self._tables.close()
            self._tables = None

    # --- open

    def _open(self) -> Tables:
        """Open the file, or begin a new one with what is known of the one that should be there."""
        known = self._known()
        if _is_empty(self._path) and self._beside.exists():
            # Whoever made it was killed before it had taken its place.
            discard(self._path)
            put_in_place(self._beside, self._path)
        if _is_empty(self._path):
            _LOG.info("%s is a new spool: there is nothing in it yet.", self._path)
            return self._begun(known, _REMOVED)
        try:
            tables, found = _with_account(self._path, self._go_on)
        except OtherSchemaError as error:
            aside = put_aside(self._path, "other-schema")
            _LOG.error("%s %s. It is kept as %s; a new one is begun.", self._path, error, aside)
            return self._begun(known, _OTHER)
        except READ_ERRORS as error:
            if not is_damage(error):
                raise
            return self._rescued(str(error), known)
        if found.commits < known.commits:
            tables.close()
            return self._rescued("it is older than its account; its journal is lost", known)
        discard(self._beside)  # of a rescue that was cut short, and is not needed any more
        self.state = found
        return tables

    def _known(self) -> SpoolState:
        """The newest account that is known without the file; one of no commits is none."""
        noted = self._copy.read() or SpoolState()
        return max(self.state, noted, key=lambda state: state.commits)

    # --- another file in its place

    def _begun(self, known: SpoolState, reason: str) -> Tables:
        """Begin a file with nothing in it but the account, if there is one."""
        if not known.commits:
            return Tables(self._path)
        return self._take_place(self._make_beside(None, known, reason))

    def _replace(self, why: str) -> None:
        """The open file is damaged: go on with a new one and what can be read of the old."""
        self._close()
        self._tables = self._rescued(why, self.state)

    def _rescued(self, why: str, known: SpoolState) -> Tables:
        old = Tables(self._path, to_salvage=True)
        try:
            made = self._make_beside(old, known, _DAMAGED)
        finally:
            old.close()
        aside = put_aside(self._path, "damaged")
        _LOG.error("%s is damaged: %s. It is kept as %s.", self._path, why, aside)
        return self._take_place(made)

    def _move(self) -> None:
        """The file was removed or emptied under our feet: what is still open goes into a new one."""
        _LOG.error("%s was removed; its polls go into a new one.", self._path)
        files.make_directory(self._path.parent)
        self._hold()
        made = self._make_beside(self.tables, self.state, _DAMAGED)
        self._close()
        if self._path.exists():
            put_aside(self._path, "emptied")
        self._tables = self._take_place(made)

    def _make_beside(self, tables: Tables | None, known: SpoolState, reason: str) -> Recovered:
        """Make the new file."""
        rescued = self._rescue.make(Old(tables, known, reason, self.given), self.limits)
        # What was lost before is counted already.
        self.lost = dict.fromkeys(rescued.lost, reason) | self.lost
        return rescued

    def _take_place(self, made: Recovered) -> Tables:
        """Open the new file where the old one was."""
        discard(self._path)
        put_in_place(self._beside, self._path)
        tables = Tables(self._path, uses=made.uses)
        self.state = made.state
        self._copy.write(made.state)
        return tables


def _with_account(path: Path, progress: Callable[[], None]) -> tuple[Tables, SpoolState]:
    """A file and the account that it holds."""
    tables = Tables(path)
    try:
        return tables, _account(tables, progress)
    except BaseException:
        tables.close()  # before another takes its place: this one would remove that one's journal
        raise


def _account(tables: Tables, progress: Callable[[], None]) -> SpoolState:
    """What a file says of itself. Raises `MissingRowsError` if that cannot be believed."""
    facts = tables.facts()
    if not is_sound(facts):
        raise MissingRowsError("its account is not what was noted")
    found = state_of(tables, facts, progress)
    if not found.closes:
        raise MissingRowsError("polls are missing")
    return found


def _is_empty(path: Path) -> bool:
    return not path.exists() or not path.stat().st_size
