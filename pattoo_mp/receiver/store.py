"""The receiver's store: it keeps an accepted post as a whole or not at all.

A value of a series at a time is kept once; what comes again is counted as a duplicate, and the first
value stays. A value that is older than the newest of its agent is kept too, and counted as late: a pattoo
server would drop it silently. Texts are kept where they changed; the agent's test posts leave nothing.

`add` is for posts. `tidy` is called now and then: it seals rows that have become many, and removes what is too old or
too much (`upkeep`). To read, see `reading`. All times
are in ms.
"""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import time
from array import array
from bisect import bisect_left, bisect_right
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from pattoo_mp.receiver import database
from pattoo_mp.receiver.columns import decode_integers
from pattoo_mp.receiver.database import RAW, Layouts
from pattoo_mp.receiver.decode import STRING, Refused
from pattoo_mp.receiver.sealing import AHEAD_MS
from pattoo_mp.receiver.upkeep import SERIES_BYTES, Limits, Upkeep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from pattoo_mp.receiver.decode import Datapoint, Post

_log: Final = logging.getLogger(__name__)

DAY_MS: Final = 86_400_000
#: The key of the text that an agent sends to test a server (docs/decisions/007).
TEST_KEY: Final = "test_post"
#: A text is cut here; so many changes of one series are kept (the newest).
TEXT_CHARACTERS: Final = 500
_TEXTS: Final = 200
#: So much of all bytes may be metadata and texts; beyond, new series are not taken, and older texts go.
_NAMES: Final = 0.2
#: Polls that arrive later than so many intervals and so much are late; an agent that is silent for longer
#: than three intervals and so much is silent.
LATE_INTERVALS: Final = 2
SLACK_MS: Final = 5_000
#: So many series of an agent that were not taken are remembered, to count each once.
_REFUSED: Final = 10_000
#: How often (ms) `tidy` looks for what has become old.
_SELDOM_MS: Final = 60_000
#: A moment in which threads that wait with a post go first.
_GIVE_WAY_S: Final = 0.002


@dataclass(frozen=True, slots=True)
class StoredPost:
    """A post, and the counts of what happened to its `datapoints`.

    Those that are neither `stored` nor `duplicates` nor `refused` are texts. `late` ones are part of the stored.
    `refused` belong to new series of an agent that is at its limit, `new_refused` of which were not refused
    before. `stale_envelope`: the envelope's timestamp was not greater than all earlier ones of the agent.
    """

    agent_id: str
    polls: int
    datapoints: int
    stored: int
    duplicates: int
    late: int
    refused: int
    new_refused: int
    stale_envelope: bool


@dataclass(slots=True)
class _Series:
    id: int
    metadata: int  # its hash
    interval_ms: int
    text: str | None = None


@dataclass(slots=True)
class _Agent:
    """What is known of an agent between its posts."""

    id: int
    newest_ms: int
    greatest_ms: int
    interval_ms: int
    envelope_ms: int
    series: dict[tuple[str, str], _Series]
    #: The host and the program in its newest post, once there was one.
    names: tuple[str, str] = ("", "")
    refused: set[tuple[str, str]] = field(default_factory=set)
    #: The start of the late polls that its newest poll belongs to.
    late_from_ms: int | None = None
    late_to_ms: int = 0
    #: Rows and values that are not sealed.
    rows: int = 0
    values: int = 0


@dataclass(slots=True)
class _Sorted:
    """A post by the times of its polls, and then by series."""

    polls: dict[int, dict[int, float]] = field(default_factory=dict)
    intervals: dict[int, int] = field(default_factory=dict)
    duplicates: int = 0
    refused: int = 0
    new_refused: int = 0
    stored: int = 0
    late: int = 0


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
        self._agents: dict[str, _Agent] = {}
        self._names_bytes = self._upkeep.names_bytes()
        self._times: tuple[int, frozenset[int]] = (0, frozenset())
        #: Whether all agents have been read.
        self._is_read = False
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
        yield from self._seal_full()
        if not 0 <= now_ms - self._tidied_ms < _SELDOM_MS:
            self._tidied_ms = now_ms
            yield from self._upkeep.seal_old(now_ms)
            if self._upkeep.forget(now_ms):
                self._agents.clear()
                self._is_read = False
            self._names_bytes = self._upkeep.names_bytes()
            for agent in self._agents.values():
                agent.rows, agent.values = self._unsealed(agent.id)
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

    def _seal_full(self) -> Iterator[None]:
        if not self._is_read:
            for (agent_id,) in self._connection.execute("SELECT agent_id FROM agents").fetchall():
                self._agents[agent_id] = self._agents.get(agent_id) or self._known(agent_id)
            self._is_read = True
        for agent in list(self._agents.values()):
            if self._upkeep.seal_full(agent.id, agent.rows, agent.values):
                agent.rows, agent.values = self._unsealed(agent.id)
                yield

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            # What was remembered may be of this transaction.
            self._agents.clear()
            self._is_read = False
            self._layouts.forget()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    # --- a post

    def _add(self, post: Post, received_ms: int, size_bytes: int) -> StoredPost:
        with self._transaction() as connection:
            agent = self._agent(post, received_ms)
            is_stale = post.timestamp_ms <= agent.envelope_ms
            if post.timestamp_ms <= received_ms + AHEAD_MS:
                agent.envelope_ms = max(post.timestamp_ms, agent.envelope_ms)
            found = self._sort(agent, post)
            lag_ms = None
            again = self._stored_already(agent, found.polls)
            for time_ms in sorted(found.polls):
                self._add_poll(agent, time_ms, found, again.get(time_ms), received_ms)
                lag_ms = received_ms - time_ms
            stored = StoredPost(
                agent_id=post.agent_id,
                polls=post.polls,
                datapoints=len(post.datapoints),
                stored=found.stored,
                duplicates=found.duplicates,
                late=found.late,
                refused=found.refused,
                new_refused=found.new_refused,
                stale_envelope=is_stale,
            )
            if found.polls:
                self._name_host(agent, post)
            connection.execute(
                "UPDATE agents SET interval_ms = ?, newest_ms = ?, heard_ms = ?, lag_ms = coalesce(?, lag_ms),"
                " envelope_ms = ?, posts = posts + 1, polls = polls + ?, datapoints = datapoints + ?,"
                " stored = stored + ?, duplicates = duplicates + ?, late = late + ?,"
                " refused = refused + ?, refused_series = ?, bytes = bytes + ?,"
                " stale_envelopes = stale_envelopes + ? WHERE id = ?",
                (
                    agent.interval_ms, agent.newest_ms, received_ms, lag_ms, agent.envelope_ms,
                    stored.polls, stored.datapoints, stored.stored, stored.duplicates, stored.late,
                    stored.refused, len(agent.refused), size_bytes, is_stale, agent.id,
                ),
            )  # fmt: skip
        return stored

    def _name_host(self, agent: _Agent, post: Post) -> None:
        """Keep the name of the host as it is now. A test post has another one, or none."""
        names = next(
            (point.target, point.program) for point in post.datapoints if point.data_type != STRING
        )
        if names != agent.names:
            agent.names = names
            self._connection.execute(
                "UPDATE agents SET host = ?, program = ? WHERE id = ?", (*names, agent.id)
            )

    def _agent(self, post: Post, received_ms: int) -> _Agent:
        if post.agent_id not in self._agents:
            self._agents[post.agent_id] = self._read_agent(post.agent_id) or self._new_agent(
                post, received_ms
            )
        return self._agents[post.agent_id]

    def _new_agent(self, post: Post, received_ms: int) -> _Agent:
        (agents,) = self._connection.execute("SELECT count(*) FROM agents").fetchone()
        if agents >= self.limits.agents:
            raise Refused(f"a new agent, and the store has {agents} already, its limit")
        self._connection.execute(
            "INSERT INTO agents VALUES"
            " (NULL, ?, '', '', ?, ?, 0, ?, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
            (
                post.agent_id,
                post.polling_interval_ms,
                received_ms,
                received_ms,
            ),
        )
        return self._known(post.agent_id)

    def _known(self, agent_id: str) -> _Agent:
        found = self._read_agent(agent_id)
        if found is None:
            raise KeyError(agent_id)
        return found

    def _read_agent(self, agent_id: str) -> _Agent | None:
        connection = self._connection
        row = connection.execute(
            "SELECT id, newest_ms, interval_ms, envelope_ms FROM agents WHERE agent_id = ?",
            (agent_id,),
        ).fetchone()
        if row is None:
            return None
        number, newest_ms, interval_ms, envelope_ms = row
        (greatest_ms,) = connection.execute(
            "SELECT max(time_ms) FROM polls WHERE agent = ?", (number,)
        ).fetchone()
        (sealed_ms,) = connection.execute(
            "SELECT max(last_ms) FROM blocks WHERE agent = ? AND tier = ?", (number, RAW)
        ).fetchone()
        series = {
            (target, checksum): _Series(each, _hash(json.loads(metadata)), interval, text)
            for each, target, checksum, metadata, interval, text in connection.execute(
                "SELECT id, target, checksum, metadata, interval_ms, (SELECT value FROM texts"
                " WHERE series = series.id ORDER BY time_ms DESC LIMIT 1) FROM series WHERE agent = ?",
                (number,),
            )
        }
        greatest_ms = max(
            (each for each in (greatest_ms, sealed_ms) if each is not None), default=-1
        )
        agent = _Agent(number, newest_ms, greatest_ms, interval_ms, envelope_ms, series)
        agent.rows, agent.values = self._unsealed(number)
        return agent

    def _unsealed(self, agent: int) -> tuple[int, int]:
        """How many polls of an agent are not sealed, and their values."""
        rows, size = self._connection.execute(
            "SELECT count(*), total(length(numbers)) FROM polls WHERE agent = ?", (agent,)
        ).fetchone()
        return rows, int(size) // 8

    def _sort(self, agent: _Agent, post: Post) -> _Sorted:
        found = _Sorted()
        for point in post.datapoints:
            series = agent.series.get((point.target, point.checksum))
            if series is None or series.metadata != hash(point.metadata):
                if point.data_type == STRING and point.key == TEST_KEY:
                    continue
                series = self._name(agent, series, point)
                if series is None:
                    found.refused += 1
                    found.new_refused += self._refuse(agent, point)
                    continue
            if point.data_type == STRING:
                self._add_text(series, point)
            else:
                self._take(found, series, point)
        return found

    def _take(self, found: _Sorted, series: _Series, point: Datapoint) -> None:
        values = found.polls.setdefault(point.timestamp_ms, {})
        if series.id in values:
            found.duplicates += 1
            return
        # Converted to a float, as in the pattoo server.
        values[series.id] = float(point.value)
        interval_ms = point.polling_interval_ms
        if interval_ms < found.intervals.get(point.timestamp_ms, interval_ms + 1):
            found.intervals[point.timestamp_ms] = interval_ms
        if series.interval_ms != interval_ms:
            series.interval_ms = interval_ms
            self._connection.execute(
                "UPDATE series SET interval_ms = ? WHERE id = ?", (interval_ms, series.id)
            )

    def _name(self, agent: _Agent, series: _Series | None, point: Datapoint) -> _Series | None:
        """Create a series, or take its new metadata, which may change without its checksum. None at the limit."""
        metadata = json.dumps(dict(point.metadata), ensure_ascii=False)
        if series is not None:
            if not self._has_many_names():
                self._connection.execute(
                    "UPDATE series SET metadata = ? WHERE id = ?", (metadata, series.id)
                )
                self._names_bytes += len(metadata.encode())
            series.metadata = hash(point.metadata)
            return series
        if len(agent.series) >= self.limits.series or self._has_many_names():
            return None
        self._names_bytes += len(metadata.encode()) + SERIES_BYTES
        (number,) = self._connection.execute(
            "INSERT INTO series (agent, target, checksum, key, data_type, interval_ms, metadata)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                agent.id, point.target, point.checksum, point.key, point.data_type,
                point.polling_interval_ms, metadata,
            ),
        ).fetchone()  # fmt: skip
        series = _Series(number, hash(point.metadata), point.polling_interval_ms)
        agent.series[point.target, point.checksum] = series
        return series

    def _has_many_names(self) -> bool:
        """Whether metadata and texts have their share of all bytes. They are counted with each `tidy`."""
        return self._names_bytes > _NAMES * self.limits.max_bytes

    def _refuse(self, agent: _Agent, point: Datapoint) -> bool:
        """Remember a series that was not taken. Return whether it is the first time."""
        name = (point.target, point.checksum)
        if name in agent.refused or len(agent.refused) >= _REFUSED:
            return False
        agent.refused.add(name)
        return True

    def _add_text(self, series: _Series, point: Datapoint) -> None:
        text = str(point.value)[:TEXT_CHARACTERS]
        if text == series.text:
            return
        series.text = text
        self._connection.execute(
            "INSERT OR IGNORE INTO texts VALUES (?, ?, ?)", (series.id, point.timestamp_ms, text)
        )
        self._names_bytes += len(text.encode())
        self._connection.execute(
            "DELETE FROM texts WHERE series = ?1 AND time_ms <= (SELECT time_ms FROM texts"
            " WHERE series = ?1 ORDER BY time_ms DESC LIMIT 1 OFFSET ?2)",
            (series.id, 1 if self._has_many_names() else _TEXTS),
        )

    def _add_poll(
        self, agent: _Agent, time_ms: int, found: _Sorted, again: set[int] | None, received_ms: int
    ) -> None:
        """Add a poll but for the series that are sent `again`."""
        values = found.polls[time_ms]
        # Not the greatest, which may be of a clock that was ahead.
        is_late = time_ms < agent.newest_ms
        if again:
            found.duplicates += len(again)
            values = {series: values[series] for series in values if series not in again}
            if not values:
                return
        found.stored += len(values)
        found.late += len(values) if is_late else 0
        lag_ms = received_ms - time_ms
        self._connection.execute(
            "INSERT INTO polls (agent, time_ms, lag_ms, layout, numbers) VALUES (?, ?, ?, ?, ?)",
            (
                agent.id,
                time_ms,
                lag_ms,
                self._layouts.find_or_create(list(values)),
                array("d", values.values()).tobytes(),
            ),
        )
        agent.rows += 1
        agent.values += len(values)
        agent.greatest_ms = max(agent.greatest_ms, time_ms)
        if lag_ms >= -AHEAD_MS:
            self._track(agent, time_ms, found.intervals[time_ms], lag_ms)

    def _stored_already(
        self, agent: _Agent, polls: dict[int, dict[int, float]]
    ) -> dict[int, set[int]]:
        """The series in `polls`, by time, of which the agent has a value of that time already.

        All times are looked up at once: the blocks of an agent that sends much of long ago would else be
        decoded for each of them.
        """
        times = sorted(time_ms for time_ms in polls if time_ms <= agent.greatest_ms)
        found: dict[int, set[int]] = {}
        layouts: dict[int, frozenset[int]] = {}
        for time_ms, layout in self._layouts_at(agent, times) if times else ():
            if layout not in layouts:
                layouts[layout] = frozenset(self._layouts.series(layout))
            found.setdefault(time_ms, set()).update(polls[time_ms].keys() & layouts[layout])
        return found

    def _layouts_at(self, agent: _Agent, times: list[int]) -> Iterator[tuple[int, int]]:
        """The layouts of an agent's values at these times, which are in order; a time may have several."""
        wanted = frozenset(times)
        for time_ms, layout in self._connection.execute(
            "SELECT time_ms, layout FROM polls WHERE agent = ? AND time_ms >= ? AND time_ms <= ?",
            (agent.id, times[0], times[-1]),
        ).fetchall():
            if time_ms in wanted:
                yield time_ms, layout
        for block, layout, first_ms, last_ms in self._connection.execute(
            "SELECT id, layout, first_ms, last_ms FROM blocks WHERE agent = ? AND tier = ?"
            " AND last_ms >= ? AND first_ms <= ?",
            (agent.id, RAW, times[0], times[-1]),
        ).fetchall():
            if bisect_left(times, first_ms) < bisect_right(times, last_ms):
                for time_ms in wanted & self._times_of(block):
                    yield time_ms, layout

    def _times_of(self, block: int) -> frozenset[int]:
        # An agent sends again what is in one or two blocks.
        if self._times[0] != block:
            rows, times = self._connection.execute(
                "SELECT rows, times FROM blocks WHERE id = ?", (block,)
            ).fetchone()
            self._times = (block, frozenset(decode_integers(times, rows)))
        return self._times[1]

    # --- gaps, and polls that are late

    def _track(self, agent: _Agent, time_ms: int, interval_ms: int, lag_ms: int) -> None:
        if time_ms > agent.newest_ms:
            slowest = max(interval_ms, agent.interval_ms)
            if agent.newest_ms and 2 * (time_ms - agent.newest_ms) > 3 * slowest:
                self._add_gap(agent, agent.newest_ms, time_ms, interval_ms)
            agent.newest_ms, agent.interval_ms = time_ms, interval_ms
        elif time_ms < agent.newest_ms:
            self._fill(agent, time_ms)
        if lag_ms <= LATE_INTERVALS * interval_ms + SLACK_MS:
            agent.late_from_ms = None
            return
        if agent.late_from_ms is None or time_ms < agent.late_to_ms:
            agent.late_from_ms = time_ms
        agent.late_to_ms = time_ms
        self._connection.execute(
            "INSERT INTO late VALUES (?1, ?2, ?3, 1, ?4) ON CONFLICT DO UPDATE"
            " SET to_ms = max(to_ms, ?3), polls = polls + 1, lag_ms = max(lag_ms, ?4)",
            (agent.id, agent.late_from_ms, time_ms, lag_ms),
        )

    def _add_gap(self, agent: _Agent, after_ms: int, before_ms: int, interval_ms: int) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?)",
            (agent.id, after_ms, before_ms, interval_ms),
        )

    def _fill(self, agent: _Agent, time_ms: int) -> None:
        """A poll has come that was missing: its gap ends, or becomes two."""
        gap = self._connection.execute(
            "SELECT after_ms, before_ms, interval_ms FROM gaps WHERE agent = ? AND after_ms < ?"
            " AND before_ms > ? ORDER BY after_ms DESC LIMIT 1",
            (agent.id, time_ms, time_ms),
        ).fetchone()
        if gap is None:
            return
        after_ms, before_ms, interval_ms = gap
        self._connection.execute(
            "DELETE FROM gaps WHERE agent = ? AND after_ms = ?", (agent.id, after_ms)
        )
        for start, end in ((after_ms, time_ms), (time_ms, before_ms)):
            if 2 * (end - start) > 3 * interval_ms:
                self._add_gap(agent, start, end, interval_ms)


def _hash(metadata: dict[str, str]) -> int:
    return hash(tuple(metadata.items()))
