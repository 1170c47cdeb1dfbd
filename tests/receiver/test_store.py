"""The database: order, duplicates, and posts that are stored as a whole or not at all."""

from __future__ import annotations

import sqlite3
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.receiver.decode import decode_post
from pattoo_mp.receiver.store import Store, StoreError
from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK, body, point

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.receiver.store import StoredPost


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the database."""
    return tmp_path / "db.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """An empty database."""
    with Store(path) as opened:
        yield opened


def add(store: Store, *points: dict[str, object], envelope_ms: int = TICK) -> StoredPost:
    """Store a post of `points`."""
    sent = body(*points, envelope_ms=envelope_ms)
    return store.add(decode_post(sent), received_ms=TICK + 5, size_bytes=len(sent))


def test_a_real_post_is_stored_whole(store: Store) -> None:
    """Every datapoint of a post of the original agent is a series with one value."""
    stored = store.add(decode_post(GOLDEN), received_ms=1, size_bytes=len(GOLDEN))
    assert (stored.datapoints, stored.stored, stored.bytes) == (95, 95, len(GOLDEN))
    assert store.totals().series == 95
    assert store.posts() == (stored,)
    assert len(store.timestamps(GOLDEN_AGENT)) == stored.polls


def test_posts_are_listed_in_the_order_of_arrival(store: Store) -> None:
    """Not in the order of their envelopes' timestamps."""
    for envelope_ms in (TICK + 2, TICK, TICK + 1):
        add(store, envelope_ms=envelope_ms)
    assert [post.envelope_ms for post in store.posts()] == [TICK + 2, TICK, TICK + 1]
    assert [post.id for post in store.posts()] == [1, 2, 3]


def test_the_same_point_twice_keeps_the_first_value(store: Store) -> None:
    """The second is counted as a duplicate, and the first value stays."""
    add(store, point(value=1))
    again = add(store, point(value=2), envelope_ms=TICK + 1)
    assert (again.stored, again.duplicates, again.late) == (0, 1, 0)
    assert [found.value for found in store.latest(9)] == [1.0]


def test_the_same_point_twice_in_one_post_keeps_the_first_value(store: Store) -> None:
    """A repeated point within one post is a duplicate, too."""
    stored = add(store, point(value=1), point(value=2))
    assert (stored.stored, stored.duplicates) == (1, 1)
    assert [found.value for found in store.latest(9)] == [1.0]


def test_a_point_older_than_its_series_is_late(store: Store) -> None:
    """It is dropped and counted; points of other series are not."""
    add(store, point(timestamp=TICK + 10))
    other = point(timestamp=TICK, key="other", checksum="d1" * 32)
    later = add(store, point(timestamp=TICK), other, envelope_ms=TICK + 1)
    assert (later.stored, later.duplicates, later.late) == (1, 0, 1)
    assert store.timestamps(AGENT) == (TICK, TICK + 10)


def test_the_order_within_a_post_does_not_matter(store: Store) -> None:
    """A post with its newest point first is stored whole."""
    stored = add(store, *(point(timestamp=TICK + n) for n in (3, 1, 2)))
    assert (stored.stored, stored.polls) == (3, 3)
    assert store.timestamps(AGENT) == (TICK + 1, TICK + 2, TICK + 3)


def test_a_string_leaves_no_series(store: Store) -> None:
    """It counts as received, not as stored: agents send one to test a server."""
    stored = add(store, point(data_type=2, value="up"))
    assert (stored.datapoints, stored.stored, stored.duplicates, stored.late) == (1, 0, 0, 0)
    assert (store.totals().series, store.latest(1)) == (0, ())


@pytest.mark.parametrize(("second", "stale"), [(TICK - 1, True), (TICK, True), (TICK + 1, False)])
def test_a_stale_envelope_is_counted(store: Store, second: int, *, stale: bool) -> None:
    """An envelope must be newer than all earlier ones of the agent."""
    assert not add(store).stale_envelope
    assert add(store, envelope_ms=second).stale_envelope is stale
    assert store.totals().stale_envelopes == int(stale)


def test_series_differ_by_target_and_checksum(store: Store) -> None:
    """The same point of two targets, and of two checksums, is three series."""
    add(store, point(), point(agent_polled_target="other"), point(checksum="d1" * 32))
    assert (store.totals().series, store.totals().stored) == (3, 3)


def test_the_latest_datapoints_are_newest_first(store: Store) -> None:
    """At most as many as asked for, with key, metadata and value."""
    add(store, *(point(timestamp=TICK + n, value=n, disk="sda") for n in range(5)))
    first, second = store.latest(2)
    assert (first.timestamp_ms, second.timestamp_ms) == (TICK + 4, TICK + 3)
    assert (first.key, first.metadata, first.value) == ("load", (("disk", "sda"),), 4.0)


def test_threads_store_without_losing_a_post(store: Store) -> None:
    """Posts of several threads at once are all stored, each once."""

    def run(number: int) -> None:
        for n in range(10):
            add(store, point(checksum=f"{number:064x}", timestamp=TICK + n))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (store.totals().posts, store.totals().stored) == (40, 40)


def test_a_full_disk_leaves_nothing_half_stored(store: Store) -> None:
    """A post that does not fit raises, nothing of it is stored, and the next that fits is."""
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(sqlite3.Error, match="full"):
        store.add(decode_post(GOLDEN), received_ms=1, size_bytes=1)
    assert (store.totals().posts, store.totals().series) == (0, 0)
    store._connection.execute("PRAGMA max_page_count = 100000")
    assert add(store, point()).stored == 1


def test_a_database_can_be_reopened(path: Path) -> None:
    """It has what was stored before."""
    with Store(path) as first:
        add(first, point())
    with Store(path, create=False) as second:
        assert second.totals().stored == 1


def test_the_database_is_private(store: Store, path: Path) -> None:
    """The file and its journals are readable by their owner only."""
    add(store, point())
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}


def test_a_missing_database_is_not_created_for_a_reader(path: Path) -> None:
    """Opening without `create` names the missing file and creates none."""
    with pytest.raises(StoreError, match=r"db\.sqlite"):
        Store(path, create=False)
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
