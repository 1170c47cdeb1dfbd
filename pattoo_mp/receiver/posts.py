"""What a post brings to the store: values, texts, names of series, gaps and what fills them.

A value of a series at a time is kept once; what comes again is counted as a duplicate, and the first
value stays. A value that is older than the newest of its agent is kept too, and counted as late: a pattoo
server would drop it silently. Texts are kept where they changed; the agent's test posts leave nothing.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pattoo_mp.receiver.columns import decode_integers
from pattoo_mp.receiver.database import RAW
from pattoo_mp.receiver.decode import STRING, Refused
from pattoo_mp.receiver.gaps import Course
from pattoo_mp.receiver.sealing import AHEAD_MS
from pattoo_mp.receiver.upkeep import SERIES_BYTES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from pattoo_mp.receiver.database import Layouts
    from pattoo_mp.receiver.decode import Datapoint, Post
    from pattoo_mp.receiver.upkeep import Limits, Upkeep

#: The key of the text that an agent sends to test a server (docs/decisions/007).
TEST_KEY: Final = "test_post"
#: A text is cut here; so many changes of one series are kept (the newest).
TEXT_CHARACTERS: Final = 500
_TEXTS: Final = 200
#: So much of all bytes may be metadata and texts; beyond, new series are not taken, and older texts go.
_NAMES: Final = 0.2
#: So many series of an agent that were not taken are remembered, to count each once.
_REFUSED: Final = 10_000


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
    course: Course
    greatest_ms: int
    envelope_ms: int
    series: dict[tuple[str, str], _Series]
    #: The host and the program in its newest post, once there was one.
    names: tuple[str, str] = ("", "")
    refused: set[tuple[str, str]] = field(default_factory=set)
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


class Posts:
    """Writes posts, each in a transaction of the store, and remembers what it knows of the agents meanwhile.

    `names_bytes` is how much metadata and texts take, as of the last `recount`, and what came since.
    """

    def __init__(
        self, connection: sqlite3.Connection, layouts: Layouts, limits: Limits, names_bytes: int
    ) -> None:
        self._connection = connection
        self._layouts = layouts
        self._limits = limits
        self.names_bytes = names_bytes
        self._agents: dict[str, _Agent] = {}
        #: Whether all agents have been read.
        self._is_read = False
        self._times: tuple[int, frozenset[int]] = (0, frozenset())

    def forget(self) -> None:
        """Forget what is remembered: it may be of a transaction that failed, or gone."""
        self._agents.clear()
        self._is_read = False

    def recount(self, names_bytes: int) -> None:
        """Count anew what is not sealed of each agent; `names_bytes` is how much names take now."""
        self.names_bytes = names_bytes
        for agent in self._agents.values():
            agent.rows, agent.values = self._unsealed(agent.id)

    def seal_full(self, upkeep: Upkeep) -> Iterator[None]:
        """Seal the rows of each agent that has many, one agent for each step."""
        if not self._is_read:
            for (agent_id,) in self._connection.execute("SELECT agent_id FROM agents").fetchall():
                self._agents[agent_id] = self._agents.get(agent_id) or self._known(agent_id)
            self._is_read = True
        for agent in list(self._agents.values()):
            if upkeep.seal_full(agent.id, agent.rows, agent.values):
                agent.rows, agent.values = self._unsealed(agent.id)
                yield

    def add(self, post: Post, received_ms: int, size_bytes: int) -> StoredPost:
        """Write a post, as part of a transaction. Raises `Refused`."""
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
        self._connection.execute(
            "UPDATE agents SET interval_ms = ?, newest_ms = ?, heard_ms = ?, lag_ms = coalesce(?, lag_ms),"
            " envelope_ms = ?, posts = posts + 1, polls = polls + ?, datapoints = datapoints + ?,"
            " stored = stored + ?, duplicates = duplicates + ?, late = late + ?,"
            " refused = refused + ?, refused_series = ?, bytes = bytes + ?,"
            " stale_envelopes = stale_envelopes + ? WHERE id = ?",
            (
                agent.course.interval_ms, agent.course.newest_ms, received_ms, lag_ms, agent.envelope_ms,
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
        if agents >= self._limits.agents:
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
        course = Course(number, newest_ms, interval_ms)
        agent = _Agent(number, course, greatest_ms, envelope_ms, series)
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
                self.names_bytes += len(metadata.encode())
            series.metadata = hash(point.metadata)
            return series
        if len(agent.series) >= self._limits.series or self._has_many_names():
            return None
        self.names_bytes += len(metadata.encode()) + SERIES_BYTES
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
        return self.names_bytes > _NAMES * self._limits.max_bytes

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
        self.names_bytes += len(text.encode())
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
        is_late = time_ms < agent.course.newest_ms
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
            agent.course.poll(self._connection, time_ms, found.intervals[time_ms], lag_ms)

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


def _hash(metadata: dict[str, str]) -> int:
    return hash(tuple(metadata.items()))
