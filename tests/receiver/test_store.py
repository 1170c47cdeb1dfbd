"""The database: order, duplicates, and posts that are stored as a whole or not at all."""

from __future__ import annotations

import random
import sqlite3
import stat
import threading
from typing import TYPE_CHECKING
from unittest.mock import Mock, patch

import pytest

from pattoo_mp.receiver import columns, database
from pattoo_mp.receiver import posts as posts_module
from pattoo_mp.receiver.database import StoreError
from pattoo_mp.receiver.decode import Datapoint, Post, Refused, decode_post
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.store import Store
from pattoo_mp.receiver.upkeep import Limits
from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK, body, point

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.receiver.posts import StoredPost


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the database."""
    return tmp_path / "db.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """An empty database."""
    with Store(path) as opened:
        yield opened


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    """What reads it."""
    with Reader(store.path) as opened:
        yield opened


def add(store: Store, *points: dict[str, object], envelope_ms: int = TICK) -> StoredPost:
    """Store a post of `points`."""
    sent = body(*points, envelope_ms=envelope_ms)
    return store.add(decode_post(sent), received_ms=TICK + 5, size_bytes=len(sent))


def test_a_real_post_is_stored_whole(store: Store, reader: Reader) -> None:
    """Every datapoint of a post of the original agent is a series with one value."""
    stored = store.add(decode_post(GOLDEN), received_ms=1, size_bytes=len(GOLDEN))
    assert (stored.datapoints, stored.stored) == (95, 95)
    assert (reader.totals().series, reader.totals().bytes) == (95, len(GOLDEN))
    assert len(reader.timestamps(GOLDEN_AGENT)) == stored.polls


def test_the_same_point_twice_keeps_the_first_value(store: Store, reader: Reader) -> None:
    """The second is counted as a duplicate, and the first value stays."""
    add(store, point(value=1))
    again = add(store, point(value=2), envelope_ms=TICK + 1)
    assert (again.stored, again.duplicates, again.late) == (0, 1, 0)
    assert [found.value for found in reader.latest(9)] == [1.0]


def test_the_same_point_twice_in_one_post_keeps_the_first_value(
    store: Store, reader: Reader
) -> None:
    """A repeated point within one post is a duplicate, too."""
    stored = add(store, point(value=1), point(value=2))
    assert (stored.stored, stored.duplicates) == (1, 1)
    assert [found.value for found in reader.latest(9)] == [1.0]


def test_a_point_older_than_the_newest_is_kept_and_counted_as_late(
    store: Store, reader: Reader
) -> None:
    """A pattoo server would drop it."""
    add(store, point(timestamp=TICK + 10))
    other = point(timestamp=TICK, key="other", checksum="d1" * 32)
    later = add(store, point(timestamp=TICK), other, envelope_ms=TICK + 1)
    assert (later.stored, later.duplicates, later.late) == (2, 0, 2)
    assert reader.timestamps(AGENT) == (TICK, TICK + 10)


def test_the_order_within_a_post_does_not_matter(store: Store, reader: Reader) -> None:
    """A post with its newest point first is stored whole."""
    stored = add(store, *(point(timestamp=TICK + n) for n in (3, 1, 2)))
    assert (stored.stored, stored.polls) == (3, 3)
    assert reader.timestamps(AGENT) == (TICK + 1, TICK + 2, TICK + 3)


def test_a_test_post_leaves_no_series(store: Store, reader: Reader) -> None:
    """Agents send one text to test a server."""
    stored = add(store, point(key="test_post", data_type=2, value="test"))
    assert (stored.datapoints, stored.stored, stored.duplicates) == (1, 0, 0)
    assert reader.totals().series == 0


def test_an_agent_has_the_name_of_its_host_as_it_is_now(store: Store, reader: Reader) -> None:
    """A test post comes first, and has another one; the host may get a new name."""
    add(store, point(key="test_post", data_type=2, value="test", agent_polled_target="test"))
    assert reader.agents(TICK) == []
    for tick, name in enumerate(("old", "new")):
        add(store, point(timestamp=TICK + tick, agent_polled_target=name))
        assert reader.agents(TICK)[0]["host"] == name


def test_a_text_is_kept_where_it_changes(store: Store, reader: Reader) -> None:
    """At most 200 changes, each of at most 500 characters."""
    values = ["6.1", "6.1", "6.2", "x" * 600, *(str(number) for number in range(250))]
    for tick, value in enumerate(values):
        add(store, point(key="release", data_type=2, value=value, timestamp=TICK + tick))
    _, (series,) = reader.search("release", None, 9, 0)
    assert (series["kind"], series["newest"]) == ("text", "249")
    (texts,) = reader.range([series["id"]], TICK, TICK + 1_000, 500, TICK)["texts"]
    assert len(texts["changes"]) == 200
    assert reader.range([series["id"]], TICK, TICK + 1_000, 500, TICK)["series"] == []


@pytest.mark.parametrize(("second", "stale"), [(TICK - 1, True), (TICK, True), (TICK + 1, False)])
def test_a_stale_envelope_is_counted(
    store: Store, reader: Reader, second: int, *, stale: bool
) -> None:
    """An envelope must be newer than all earlier ones of the agent."""
    assert not add(store).stale_envelope
    assert add(store, envelope_ms=second).stale_envelope is stale
    assert reader.totals().stale_envelopes == int(stale)


def test_series_differ_by_target_and_checksum(store: Store, reader: Reader) -> None:
    """The same point of two targets, and of two checksums, is three series."""
    add(store, point(), point(agent_polled_target="other"), point(checksum="d1" * 32))
    assert (reader.totals().series, reader.totals().stored) == (3, 3)


def test_the_latest_datapoints_are_newest_first(store: Store, reader: Reader) -> None:
    """At most as many as asked for, with key, metadata and value."""
    add(store, *(point(timestamp=TICK + n, value=n, disk="sda") for n in range(5)))
    first, second = reader.latest(2)
    assert (first.timestamp_ms, second.timestamp_ms) == (TICK + 4, TICK + 3)
    assert (first.key, first.metadata, first.value) == ("load", {"disk": "sda"}, 4.0)


def test_threads_store_without_losing_a_post(store: Store, reader: Reader) -> None:
    """Posts of several threads at once are all stored, each once."""

    def run(number: int) -> None:
        for n in range(10):
            add(store, point(checksum=f"{number:064x}", timestamp=TICK + n))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (reader.totals().posts, reader.totals().stored) == (40, 40)


def test_a_full_disk_leaves_nothing_half_stored(store: Store, reader: Reader) -> None:
    """A post that does not fit raises, nothing of it is stored, and the next that fits is."""
    add(store, point())  # so that the first pages of its tables exist
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.Error, match="full"):
        store.add(decode_post(GOLDEN), received_ms=1, size_bytes=1)
    assert (reader.totals().posts, reader.totals().series) == (1, 1)
    store._connection.execute("PRAGMA max_page_count = 100000")
    assert add(store, point(timestamp=TICK + 1)).stored == 1
    assert store.add(decode_post(GOLDEN), received_ms=1, size_bytes=1).stored == 95


def test_a_database_can_be_reopened(path: Path) -> None:
    """It has what was stored before."""
    with Store(path) as first:
        add(first, point())
    with Store(path) as second, Reader(path) as reader:
        assert reader.totals().stored == 1
        assert add(second, point()).duplicates == 1


def test_the_database_is_private(store: Store, path: Path) -> None:
    """The file and its journals are readable by their owner only."""
    add(store, point())
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}


def test_a_missing_database_is_not_created_for_a_reader(path: Path) -> None:
    """The error names the file."""
    with pytest.raises(StoreError, match=r"db\.sqlite"):
        Reader(path)
    assert not path.exists()


def test_a_file_of_another_program_is_not_touched(path: Path) -> None:
    """Neither text nor another program's database is written to."""
    path.write_text(
        "not a database, but somebody's text, and long enough to have a header of 100 bytes"
    )
    with pytest.raises(StoreError, match="expected a database of this receiver"):
        Store(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(StoreError, match="of another program"):
        Store(path)


def test_new_series_of_an_agent_at_its_limit_are_not_taken(path: Path) -> None:
    """Its other values are, and the agent's figures say how many series were refused."""
    with Store(path, Limits(series=3)) as store, Reader(path) as reader:
        for tick in range(2):
            points = (point(checksum=f"{n:064x}", timestamp=TICK + tick) for n in range(5))
            stored = add(store, *points, envelope_ms=TICK + tick)
            assert (stored.stored, stored.refused, stored.new_refused) == (3, 2, 0 if tick else 2)
        (agent,) = reader.agents(TICK)
        assert (agent["series"], agent["refused_series"]) == (3, 2)


def test_more_agents_than_the_limit_are_refused(path: Path) -> None:
    """The reason names the limit."""
    with Store(path, Limits(agents=1)) as store:
        add(store, point())
        with pytest.raises(Refused, match="has 1 already, its limit"):
            store.add(decode_post(GOLDEN), received_ms=1, size_bytes=1)


def test_metadata_that_changes_without_its_checksum_is_kept(store: Store, reader: Reader) -> None:
    """As a kernel's release does: the series has the newest."""
    for tick, release in enumerate(("6.1", "6.2")):
        add(store, point(timestamp=TICK + tick, release=release))
    _, (series,) = reader.search("load", None, 9, 0)
    assert series["metadata"] == {"release": "6.2"}


@pytest.mark.parametrize("page", [2, -1])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(path: Path, page: int) -> None:
    """At the start, or when the damage is met; what comes then is stored, and readers see it."""
    with Store(path) as store:
        for tick in range(50):
            store.add(decode_post(GOLDEN), received_ms=TICK + tick, size_bytes=1)
            add(store, *(point(timestamp=TICK + tick, checksum=f"{n:064x}") for n in range(200)))
    content = bytearray(path.read_bytes())
    pages = len(content) // 4096
    for number in range(1, pages) if page > 0 else range(pages // 2, pages):
        content[number * 4096 : (number + 1) * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with Store(path) as store:
        add(store, point(timestamp=TICK + 9_999))
        store.tidy(TICK + 10_000_000_000)
        assert store.put_aside is not None
        assert store.put_aside.name.startswith("db.sqlite.damaged-")
        assert store.put_aside.stat().st_size == len(content)
        add(store, point(timestamp=TICK + 99_999))
        with Reader(path) as reader:
            assert TICK + 99_999 in reader.timestamps(AGENT)


def test_a_reader_follows_to_the_new_file(path: Path) -> None:
    """A damaged file was put aside while it was open."""
    with Store(path) as store, Reader(path) as reader:
        add(store, point())
        before = reader.newest([1], None, None, TICK)
        store._connection.close()
        aside = database.put_aside(path)
        store._use(database.Opened(database.open_store(path).connection, aside))
        add(store, point(timestamp=TICK + 1))
        assert reader.timestamps(AGENT) == (TICK + 1,)
        assert reader.newest([1], None, before["cursor"], TICK)["behind"]


def test_polls_of_long_ago_in_no_order_take_few_steps(store: Store, reader: Reader) -> None:
    """Every block of such an agent covers all times, and each is read once for a post, not for each poll."""
    rng = random.Random(5)
    times = rng.sample(range(TICK - 10**9, TICK), 5_000)
    for number in range(0, len(times), 1_000):
        add(store, *(point(timestamp=each) for each in times[number : number + 1_000]))
        store.tidy(TICK + 100_000 * number)
    decode = Mock(wraps=columns.decode_integers)
    with patch.object(posts_module, "decode_integers", decode):
        again = add(store, *(point(timestamp=each) for each in times[::10]), point(timestamp=1))
    assert (again.stored, again.duplicates) == (1, 500)
    assert decode.call_count <= 10
    assert len(reader.timestamps(AGENT)) == 5_001


def test_series_of_all_agents_have_a_share_of_the_room(path: Path) -> None:
    """Many agents at their limits would have more of them than may be kept, and more than fits into memory."""
    with Store(path, Limits(max_bytes=1_000_000)) as store, Reader(path) as reader:
        for agent in range(20):
            points = tuple(
                Datapoint("k", 1.0, 99, TICK, f"{n:064x}", 1_000, str(agent), "h", "h", "p", ())
                for n in range(100)
            )
            post = Post(TICK, str(agent), 1_000, points)
            stored = store.add(post, received_ms=TICK, size_bytes=1)
            assert stored.stored + stored.refused == 100
        assert 500 < reader.totals().series < 800
        store.tidy(TICK)
        assert reader.figures()["bytes"] < 900_000
