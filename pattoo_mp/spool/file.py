"""An open spool file with its account, the lock on it, and its replacement after damage.

A file that is damaged, removed or emptied is replaced. Its readable polls go into a new file beside
it, which takes its place only when it is complete. A kill before that loses nothing: the next
process starts the recovery again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from pattoo_mp.errors import SpoolError
from pattoo_mp.spool.account import (
    FORMER_FACTS,
    UNNAMED,
    AccountCopy,
    OutputState,
    SpoolState,
    is_place,
    is_sound,
    output_of,
    state_of,
)
from pattoo_mp.spool.recovery import (
    READ_ERRORS,
    MissingRowsError,
    OldSpool,
    Recovered,
    Recovery,
    discard,
    is_damage,
    is_lack_of_room,
    move,
    move_aside,
)
from pattoo_mp.spool.tables import NewerSchemaError, Tables
from pattoo_mp.util import files
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pattoo_mp.spool.limits import Limits

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: How long to wait for the lock: an uploader whose control was killed may still be storing polls.
_PREDECESSOR_S: Final = 5.0
_LOCK_RETRY_S: Final = 0.05
_PID_BYTES: Final = 20

_DAMAGED: Final = "the spool was damaged"
_REMOVED: Final = "the spool was removed"


class SpoolFile:
    """The spool file at `path`, locked by this process. Not thread-safe.

    - `outputs` are the names of the configured outputs. `heir` gets what a file of schema 1 holds,
      which knew one output without a name.
    - `known` is the account as another process knows it; the newest account counts.
    - `limits` also bound what is recovered into a new file.
    - `progress` is called repeatedly while the whole file is read or recovered. Only these two take
      long; the journal of a commit or two is replayed at once.
    - `handed_out` holds the ids that were last handed out to each output, and `lost` those of them
      that are gone since, with the reason under which each was counted as dropped. Their post may
      be under way, and its answer may still come.

    If the disk has no room to open the file, it is opened as soon as there is. Raises `SpoolError`,
    `OSError`, `sqlite3.Error`.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        *,
        outputs: Sequence[str],
        heir: str,
        known: SpoolState | None,
        progress: Callable[[], None],
    ) -> None:
        self._path = path
        self._outputs = tuple(outputs)
        self._heir = heir
        self._beside = path.with_name(f"{path.name}.new")
        self._recovery = Recovery(self._beside, self._note_progress)
        self._copy = AccountCopy(path.with_name(f"{path.name}.account"))
        self._progress = progress
        #: When reading or recovering the whole file last made progress (`time.monotonic`).
        self.progressed_at = 0.0
        self.limits = limits
        self.state = known or SpoolState()
        self.handed_out: dict[str, frozenset[int]] = {}
        self.lost: dict[str, dict[int, str]] = {}
        #: Whether `state` is the file's account, and not only `known`.
        self.account_loaded = False
        self._lock: int | None = None
        self._tables: Tables | None = None
        try:
            _ = self.tables
        except Exception as error:
            if not is_lack_of_room(error):
                self.close()
                raise

    @property
    def tables(self) -> Tables:
        """The rows. For use inside of `run` only."""
        if self._tables is None:
            self._ensure_lock()
            self._tables = self._open()
            try:
                self._adopt_outputs()
            except BaseException:
                self._close()  # or the next call would find the account of other outputs
                raise
            self.account_loaded = True
        return self._tables

    def change_outputs(self, names: Sequence[str]) -> None:
        """Serve other outputs from now on, or from when the file can be opened and written to."""
        self._outputs = tuple(names)
        if self._tables is None:
            return
        try:
            self._adopt_outputs()
        except (OSError, *READ_ERRORS) as error:
            # It is opened again for the next action, and then serves these.
            _LOG.warning("%s cannot serve other outputs yet: %s.", self._path, error)
            self._close()

    def run(self, action: Callable[[], T]) -> T:
        """Run an action; if the file is gone or damaged, replace it and run the action again."""
        if not self.tables.is_in_place():
            self._replace_removed()
        try:
            return action()
        except READ_ERRORS as error:
            if not is_damage(error):
                raise
            self._replace_damaged(str(error))
            return action()

    @contextmanager
    def transaction(self, now: SpoolState) -> Iterator[Tables]:
        """Change the rows in the block, and the account to `now`, in one transaction."""
        now.commits += 1
        with self.tables.transaction():
            yield self.tables
            for output in now.outputs.values():
                output.oldest_ms = self.tables.oldest_ms(output.done_id)
            self.tables.set_facts(now.facts())
        self.state = now
        self._copy.write(now)

    def note(self, now: SpoolState) -> None:
        """Store envelope times that the file cannot take in the copy of the account."""
        self.state = now
        self._copy.write(now)

    def close(self) -> None:
        """Close the file and release the lock."""
        self._close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _lock_path(self) -> Path:
        return lock_path(self._path)

    def _adopt_outputs(self) -> None:
        """Make the account one of the configured outputs, with the places of those who fetch from them.

        A new one begins with the next poll, since the backlog of another says nothing about it. What
        waited only for one that is gone is removed.
        """
        now = self.state.copy()
        gone = [name for name in now.outputs if output_of(name) not in {*self._outputs, UNNAMED}]
        new = [name for name in self._outputs if name not in now.outputs]
        if not gone and not new and UNNAMED not in now.outputs:
            return
        former = now.done_id
        with self.transaction(now) as tables:
            if UNNAMED in now.outputs:
                tables.remove_facts(FORMER_FACTS)
                tables.quarantine.name_output(UNNAMED, self._heir)
                now.outputs[self._heir] = now.outputs.pop(UNNAMED)
                new = [name for name in new if name != self._heir]
                gone += [self._heir] if self._heir not in self._outputs else []
            newest = tables.newest_id()
            for name in new:
                now.outputs[name] = OutputState(done_id=newest)
            left = [now.outputs.pop(name) for name in gone]
            places = sorted(filter(is_place, now.outputs))
            now.outputs = {name: now.outputs[name] for name in (*self._outputs, *places)}
            alone = tables.count(former, now.done_id)
            for name in gone:
                tables.quarantine.remove_output(name)
            tables.remove(now.done_id)
        for name, output in zip(gone, left, strict=True):
            _LOG.warning(
                "The output %s is not configured any more; %s that waited for it and %d in its "
                "quarantine are given up.",
                name,
                counted(output.waiting, "poll"),
                output.quarantined,
            )
        if alone:
            _LOG.info("%s waited for no other output, and were removed.", counted(alone, "poll"))

    def _note_progress(self) -> None:
        self.progressed_at = time.monotonic()
        self._progress()

    def _ensure_lock(self) -> None:
        """Hold the lock on the file that other processes try to lock."""
        if self._lock is None:
            self._lock = acquire_lock(self._lock_path)
        elif not is_locked(self._lock, self._lock_path):
            # Take the new one first. If that fails, the old one stays, to be closed later.
            old, self._lock = self._lock, acquire_lock(self._lock_path)
            os.close(old)

    def _close(self) -> None:
        if self._tables is not None:
            self._tables.close()
            self._tables = None

    # --- opening

    def _open(self) -> Tables:
        """Open the file, or make a new one with the known account of the missing file."""
        known = self._newest_known()
        if _is_empty(self._path) and self._beside.exists():
            # A process was killed before it could put the recovered file in place.
            discard(self._path)
            move(self._beside, self._path)
        if _is_empty(self._path):
            _LOG.info("%s is a new, empty spool.", self._path)
            return self._create(known, _REMOVED)
        try:
            tables, found = _with_account(self._path, self._note_progress)
        except NewerSchemaError as error:
            raise SpoolError(
                f"{self._path} {error}: a newer release of the agent has written it. Install that "
                f"release again; or move the file away, and lose the polls in it"
            ) from error
        except READ_ERRORS as error:
            if not is_damage(error):
                raise
            return self._recover(str(error), known)
        if found.commits < known.commits:
            tables.close()
            return self._recover("it is older than its account, so its journal is lost", known)
        discard(self._beside)  # of an interrupted recovery that is not needed any more
        if found.commits == known.commits:
            found.take_envelopes(known)
        self.state = found
        return tables

    def _newest_known(self) -> SpoolState:
        """Return the newest account known without the file; without commits there is none.

        Of two that are equally new, the copy: it may have envelope times that the file could not take.
        """
        copy = self._copy.read() or SpoolState()
        return max(copy, self.state, key=lambda state: state.commits)

    # --- replacing

    def _create(self, known: SpoolState, reason: str) -> Tables:
        """Make a file without polls, with the account if one is known."""
        if not known.commits:
            return Tables(self._path)
        return self._install(self._make_beside(None, known, reason))

    def _replace_damaged(self, why: str) -> None:
        """Replace the open file, which is damaged, by a new one with its readable polls."""
        self._close()
        self._tables = self._recover(why, self.state)

    def _replace_removed(self) -> None:
        """Replace a removed or emptied file by a new one with the polls that are still open."""
        _LOG.error("%s was removed; its polls go into a new file.", self._path)
        files.make_directory(self._path.parent)
        self._ensure_lock()
        made = self._make_beside(self.tables, self.state, _DAMAGED)
        self._close()
        if self._path.exists():
            move_aside(self._path, "emptied")
        self._tables = self._install(made)

    def _recover(self, why: str, known: SpoolState) -> Tables:
        old = Tables(self._path, read_damaged=True)
        try:
            made = self._make_beside(old, known, _DAMAGED)
        finally:
            old.close()
        aside = move_aside(self._path, "damaged")
        _LOG.error("%s is damaged: %s. It is kept as %s.", self._path, why, aside)
        return self._install(made)

    def _make_beside(self, tables: Tables | None, known: SpoolState, reason: str) -> Recovered:
        """Make the new file beside the old one."""
        old = OldSpool(tables, known, reason, self.handed_out, self._outputs)
        made = self._recovery.make(old, self.limits)
        # Earlier losses are counted already.
        for name, ids in made.lost.items():
            self.lost[name] = dict.fromkeys(ids, reason) | self.lost.get(name, {})
        return made

    def _install(self, made: Recovered) -> Tables:
        """Put the new file in the old one's place and open it."""
        discard(self._path)
        move(self._beside, self._path)
        tables = Tables(self._path, use=made.use)
        self.state = made.state
        self._copy.write(made.state)
        return tables


def _with_account(path: Path, progress: Callable[[], None]) -> tuple[Tables, SpoolState]:
    """Open a file and read its account."""
    tables = Tables(path)
    try:
        return tables, _account(tables, progress)
    except BaseException:
        # Before another file takes its place: closing it later would remove that one's journal.
        tables.close()
        raise


def _account(tables: Tables, progress: Callable[[], None]) -> SpoolState:
    """Return the account in a file. Raises `MissingRowsError` if it is wrong."""
    facts = tables.facts()
    if not is_sound(facts):
        raise MissingRowsError("its account does not match its checksum")
    found = state_of(tables, facts, progress)
    if not found.closes:
        raise MissingRowsError("polls are missing")
    return found


def _is_empty(path: Path) -> bool:
    return not path.exists() or not path.stat().st_size


# --- the lock, which lasts as long as its process


def lock_path(spool: Path) -> Path:
    """Return the path of a spool's lock."""
    return spool.with_name(f"{spool.name}.lock")


def acquire_lock(path: Path) -> int:
    """Take the lock on `path`; the returned descriptor holds it until it is closed.

    Makes the directory if it was removed while an agent runs. Raises `OSError`, or `SpoolError` if
    another process has the lock; then no descriptor stays open.
    """
    files.make_directory(path.parent)
    descriptor = files.open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        _lock(descriptor, path)
    except BaseException:
        os.close(descriptor)  # or this process would lock itself out
        raise
    # The process id is for people. A full disk must not cost the lock.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def lock_holder(path: Path) -> int | None:
    """Return the id of the process that holds the lock, 0 if unknown, None if it is free.

    Not for the holder itself. A flock(2) can only be tested by trying to take it: this takes a
    shared one for a moment, and a process that starts just then retries.
    """
    try:
        descriptor = files.open_file(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(descriptor)
    except OSError:  # a file system without locks: a start says so
        return None
    finally:
        os.close(descriptor)
    return None


def is_locked(descriptor: int, path: Path) -> bool:
    """Whether the locked file is still the one that others would find. Raises `OSError`."""
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
                    f"{_pid_in(descriptor) or 'unknown'}); "
                    f"expected a cache_directory that no other agent uses"
                ) from error
            time.sleep(_LOCK_RETRY_S)
        else:
            return


def _pid_in(descriptor: int) -> int:
    """Return the process id in the lock file; 0 if there is no number in it."""
    text = os.pread(descriptor, _PID_BYTES, 0).strip()
    return int(text) if text.isdigit() else 0
