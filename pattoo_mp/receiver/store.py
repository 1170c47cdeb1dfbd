"""The receiver's store: it keeps an accepted post as a whole or not at all.

`add` is for posts (posts.py). `tidy` is called now and then: it seals rows that have become many, and removes
what is too old or too much (upkeep.py). To read, see reading.py. All times are in ms.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from pattoo_mp.receiver import database
from pattoo_mp.receiver.database import Layouts
from pattoo_mp.receiver.posts import Posts
from pattoo_mp.receiver.upkeep import Limits, Upkeep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from pattoo_mp.receiver.decode import Post
    from pattoo_mp.receiver.posts import StoredPost

_log: Final = logging.getLogger(__name__)

#: How often (ms) `tidy` looks for what has become old.
_SELDOM_MS: Final = 60_000
#: A moment in which threads that wait with a post go first.
_GIVE_WAY_S: Final = 0.002


class Store:
    """The database at `path`, for the one process that writes it. Its methods may be called from any thread.

    Raises `StoreError` if it cannot be opened. All methods may raise `sqlite3.Error`, for example for a full
    disk; then nothing is stored by that call. `put_aside` is where a damaged file was put, if there was one.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self.limits = limits or Limits()
        self._lock = Lock()
        #: Blocks that were removed for lack of room.
        self.dropped = 0
        self.put_aside: Path | None = None
        self._use(database.open_store(path))

    def _use(self, opened: database.Opened) -> None:
        self._connection = opened.connection
        self._layouts = Layouts(opened.connection)
        self._upkeep = Upkeep(opened.connection, self._layouts, self.limits, self._transaction)
        names_bytes = self._upkeep.names_bytes()
        self._posts = Posts(opened.connection, self._layouts, self.limits, names_bytes)
        self._tidied_ms = -1
        self._steps: Iterator[None] | None = None
        if opened.put_aside is not None:
            self.put_aside = opened.put_aside
            _log.error(
                "%s is damaged: it was put aside as %s, and a new one was begun",
                self.path,
                opened.put_aside,
            )

    def add(self, post: Post, *, received_ms: int, size_bytes: int) -> StoredPost:
        """Store a post received at `received_ms`, with a body of `size_bytes`. Raises `Refused`, too."""
        with self._lock:
            try:
                return self._add(post, received_ms, size_bytes)
            except sqlite3.DatabaseError as error:
                if not database.is_damage(error):
                    raise
                self._replace(error)
                return self._add(post, received_ms, size_bytes)

    def tidy(self, now_ms: int, budget_s: float = math.inf) -> None:
        """Seal what has become much, and remove what is too old or too much.

        After `budget_s` the rest is left for the next call. Posts are stored in between: each step holds
        them up for the sealing of one agent.
        """
        until = time.monotonic() + budget_s
        while self._step(now_ms) and time.monotonic() < until:
            time.sleep(_GIVE_WAY_S)

    def _step(self, now_ms: int) -> bool:
        """Do a step of tidying. Return whether there are more."""
        with self._lock:
            if self._steps is None:
                self._steps = self._all_steps(now_ms)
            try:
                next(self._steps)
            except StopIteration:
                self._steps = None
                return False
            except BaseException as error:
                self._steps = None
                if not (isinstance(error, sqlite3.DatabaseError) and database.is_damage(error)):
                    raise
                self._replace(error)
                return False
            return True

    def _all_steps(self, now_ms: int) -> Iterator[None]:
        yield from self._posts.seal_full(self._upkeep)
        if not 0 <= now_ms - self._tidied_ms < _SELDOM_MS:
            self._tidied_ms = now_ms
            yield from self._upkeep.seal_old(now_ms)
            if self._upkeep.forget(now_ms):
                self._posts.forget()
            self._posts.recount(self._upkeep.names_bytes())
            yield
        for dropped in self._upkeep.make_room(now_ms):
            self.dropped += dropped
            yield

    def doubt(self, error: sqlite3.Error) -> None:
        """A reader has met damage: look at the whole file, and put it aside if it is so."""
        with self._lock:
            try:
                is_well = self._connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            except sqlite3.DatabaseError as found:
                is_well, error = False, found
            if not is_well:
                self._replace(error)

    def close(self) -> None:
        """Close the file, after the operation under way."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _replace(self, error: sqlite3.Error) -> None:
        """Put the damaged file aside, and begin a new one."""
        _log.error("%s: %s", self.path, error)
        self._connection.close()
        aside = database.put_aside(self.path)
        opened = database.open_store(self.path)
        self._use(database.Opened(opened.connection, aside))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            # What was remembered may be of this transaction.
            self._posts.forget()
            self._layouts.forget()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _add(self, post: Post, received_ms: int, size_bytes: int) -> StoredPost:
        with self._transaction():
            return self._posts.add(post, received_ms, size_bytes)
