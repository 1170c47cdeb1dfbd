"""Ranges, compared with what is computed from the very values that were posted."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.receiver import ranges, upkeep
from pattoo_mp.receiver.decode import COUNTER64, FLOAT, STRING, Datapoint, Post
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T0 = 1_700_000_000_000 // 86_400_000 * 86_400_000
HOUR_MS = 3_600_000
AGENT = "a" * 64


@dataclass
class Rig:
    """A store and its reader, and all values that were posted, by key and time."""

    store: Store
    reader: Reader
    values: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))

    def post(
        self, polls: dict[int, dict[str, float]], interval_ms: int, delay_ms: int = 50
    ) -> None:
        """Store a post of these polls; keys that begin with `c` are counters."""
        points = []
        for time_ms, poll in polls.items():
            for key, value in poll.items():
                self.values[key].setdefault(time_ms, value)
                points.append(_point(key, value, time_ms, interval_ms))
        newest = max(polls)
        self.store.add(
            Post(newest, AGENT, interval_ms, tuple(points)),
            received_ms=newest + delay_ms,
            size_bytes=1,
        )

    def id_of(self, key: str) -> int:
        """The id of the series with this key."""
        _, found = self.reader.search(key, None, 10, 0)
        return next(int(series["id"]) for series in found if series["key"] == key)

    def range(self, keys: list[str], from_ms: int, to_ms: int, points: int) -> dict[str, Any]:
        """Ask for a range, at its end."""
        numbers = [self.id_of(key) for key in keys]
        return self.reader.range(numbers, from_ms, to_ms, points, to_ms)

    def check(self, keys: list[str], from_ms: int, to_ms: int, points: int) -> str:
        """Compare a range with the posted values. Return its resolution."""
        answer = self.range(keys, from_ms, to_ms, points)
        assert len(answer["times"]) <= points
        for key, found in zip(keys, answer["series"], strict=True):
            wanted = _expected(self.values[key], key, answer["times"], answer["step_ms"])
            got = {
                start: tuple(found[name][place] for name in ("count", "min", "mean", "max"))
                for place, start in enumerate(answer["times"])
                if found["count"][place]
            }
            assert got.keys() == wanted.keys()
            for start, row in wanted.items():
                assert got[start] == pytest.approx(row[:4])
            if key.startswith("c"):
                grown = [each for each in found["increase"] if each is not None]
                assert sum(grown) == pytest.approx(sum(row[4] for row in wanted.values()))
        return str(answer["resolution"])


def _point(key: str, value: float, time_ms: int, interval_ms: int) -> Datapoint:
    kind = COUNTER64 if key.startswith("c") else FLOAT
    checksum = key.encode().hex().rjust(64, "0")
    return Datapoint(
        key, value, kind, time_ms, checksum, interval_ms, AGENT, "host", "host", "p", ()
    )


def _expected(
    values: dict[int, float], key: str, times: list[int], step_ms: int
) -> dict[int, tuple[float, float, float, float, float]]:
    rows: dict[int, list[tuple[float, float]]] = defaultdict(list)
    before: float | None = None
    for time_ms in sorted(values):
        value = values[time_ms]
        grown = 0.0 if before is None else value - before if value >= before else value
        before = value if key.startswith("c") else None
        start = times[0] + (time_ms - times[0]) // step_ms * step_ms
        if times[0] <= start <= times[-1]:
            rows[start].append((value, grown))
    return {
        start: (
            len(row),
            min(value for value, _ in row),
            sum(value for value, _ in row) / len(row),
            max(value for value, _ in row),
            sum(grown for _, grown in row),
        )
        for start, row in rows.items()
    }


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """An empty store."""
    with Store(tmp_path / "db.sqlite") as store, closing(Reader(tmp_path / "db.sqlite")) as reader:
        yield Rig(store, reader)


def a_day(rig: Rig, seed: int, interval_ms: int = 30_000) -> None:
    """Post a day of three series: with resets, a gap, a series that comes and goes, and polls sent again."""
    chance = random.Random(seed)
    counter = 0.0
    polls: dict[int, dict[str, float]] = {}
    for tick in range(86_400_000 // interval_ms):
        time_ms = T0 + tick * interval_ms
        if 1_000 < tick < 1_140:
            continue
        counter = 0.0 if chance.random() < 0.003 else counter + chance.randrange(1000)
        poll = {"gauge": round(chance.gauss(20, 5), 1), "counter": counter}
        if tick % 300 < 200:
            poll["sometimes"] = float(chance.randrange(5))
        polls[time_ms] = poll
        if len(polls) >= 5:
            rig.post(polls, interval_ms)
            if chance.random() < 0.1:
                rig.post(polls, interval_ms)
            polls.clear()
        if chance.random() < 0.02:
            rig.store.tidy(time_ms)


KEYS = ["gauge", "counter", "sometimes"]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_range_has_what_was_posted(rig: Rig, seed: int) -> None:
    """Whatever has been sealed, and whatever the width of the points."""
    a_day(rig, seed)
    end = T0 + 24 * HOUR_MS
    seen = {
        rig.check(KEYS, T0, end, 24),
        rig.check(KEYS, T0, end, 500),
        rig.check(KEYS, end - HOUR_MS, end, 500),
        rig.check(KEYS, T0 + 8 * HOUR_MS + 123, T0 + 10 * HOUR_MS, 100),
        rig.check(["gauge", "sometimes"], T0 + 100_000, T0 + 160_000, 2),
    }
    assert seen == {"raw", "minute", "hour"}


def test_nothing_changes_when_everything_is_sealed(rig: Rig) -> None:
    """Long after, all is in blocks, and the same is answered."""
    a_day(rig, 3)
    end = T0 + 24 * HOUR_MS
    for days in (0, 2, 10):
        rig.store.tidy(end + days * 24 * HOUR_MS)
        assert rig.check(KEYS, T0, end, 30) == "hour"
        assert rig.check(KEYS, T0, end, 1000) == "minute"
        assert rig.check(KEYS, end - 4 * HOUR_MS, end, 1000) == "raw"
    assert rig.reader.figures()["tiers"][0]["waiting"] == 0


def test_where_detail_has_gone_a_range_is_made_of_minutes_or_hours(rig: Rig) -> None:
    """Raw values stay for two weeks, minutes for three months, hours for two years."""
    a_day(rig, 4)
    end = T0 + 24 * HOUR_MS
    asked = (["gauge"], T0 + 2 * HOUR_MS, T0 + 3 * HOUR_MS, 500)
    assert rig.check(*asked) == "raw"
    rig.store.tidy(end + 20 * 24 * HOUR_MS)
    assert rig.check(*asked) == "minute"
    rig.store.tidy(end + 100 * 24 * HOUR_MS)
    assert rig.check(*asked) == "hour"
    rig.store.tidy(end + 800 * 24 * HOUR_MS)
    assert (rig.reader.totals().series, rig.reader.agents(end)) == (0, [])


def test_polls_that_come_after_newer_ones_are_in_the_range(rig: Rig) -> None:
    """Even if their time has been sealed long ago; only a counter's increase is not split any more."""
    for tick in range(0, 3_000, 2):
        rig.post({T0 + tick * 1_000: {"gauge": float(tick)}}, 1_000)
        rig.store.tidy(T0 + tick * 1_000)
    for tick in range(1, 3_000, 2):
        rig.post({T0 + tick * 1_000: {"gauge": float(tick)}}, 1_000, delay_ms=10_000_000)
        rig.post({T0 + tick * 1_000: {"gauge": -1.0}}, 1_000, delay_ms=10_000_000)
    assert rig.check(["gauge"], T0, T0 + 3_000_000, 5_000) == "raw"
    rig.store.tidy(T0 + 20 * 24 * HOUR_MS)
    assert rig.check(["gauge"], T0, T0 + 3_000_000, 60) == "minute"
    assert rig.reader.totals().duplicates == 1_500


def test_a_range_beyond_all_data_is_empty(rig: Rig) -> None:
    """It has points, none of which has a value."""
    rig.post({T0: {"gauge": 1.0}}, 1_000)
    answer = rig.range(["gauge"], T0 - HOUR_MS, T0 - 1_000, 100)
    assert set(answer["series"][0]["count"]) == {0}
    assert set(answer["series"][0]["mean"]) == {None}


def test_a_counters_rate_is_over_the_time_since_the_value_before(rig: Rig) -> None:
    """Also after an outage: nothing is lost, and nothing is too fast."""
    for tick in (0, 1, 2, 100, 101):
        rig.post({T0 + tick * 1_000: {"c": tick * 50.0}}, 1_000)
    answer = rig.range(["c"], T0, T0 + 102_000, 500)
    rates = [rate for rate in answer["series"][0]["rate"] if rate is not None]
    assert rates == [50.0] * 4
    assert answer["series"][0]["rate"][0] is None


def test_gaps_and_late_polls_are_on_the_time_axis(rig: Rig) -> None:
    """A missed tick, an outage, one that goes on; they end when their polls come after all."""
    ticks = [*range(10), *range(11, 20), *range(60, 70)]
    for tick in ticks:
        rig.post({T0 + tick * 1_000: {"gauge": 1.0}}, 1_000)
    now_ms = T0 + 100_000
    (axis,) = rig.range(["gauge"], T0, now_ms, 500)["agents"]
    assert [(gap["kind"], gap["missed"]) for gap in axis["gaps"]] == [
        ("missed", 1),
        ("outage", 40),
        ("open", 31),
    ]
    for tick in range(20, 60):
        rig.post({T0 + tick * 1_000: {"gauge": 1.0}}, 1_000, delay_ms=60_000)
    (axis,) = rig.range(["gauge"], T0, now_ms, 500)["agents"]
    assert [gap["kind"] for gap in axis["gaps"]] == ["missed", "open"]
    assert axis["late"] == [
        {"from_ms": T0 + 20_000, "to_ms": T0 + 59_000, "polls": 40, "lag_ms": 60_000}
    ]
    (agent,) = rig.reader.agents(now_ms)
    assert (agent["state"], agent["late_polls_day"]) == ("late", 40)


def test_at_its_limit_the_store_loses_the_oldest_detail_first(tmp_path: Path) -> None:
    """It stays within its bytes, keeps the newest, and still has the hours of what it lost."""
    limits = upkeep.Limits(max_bytes=1_000_000)
    path = tmp_path / "db.sqlite"
    chance = random.Random(1)
    with Store(path, limits) as store, closing(Reader(path)) as reader:
        rig = Rig(store, reader)
        for tick in range(3_000):
            values = {f"g{number}": chance.random() for number in range(40)}
            rig.post({T0 + tick * 10_000: values}, 10_000)
            if tick % 100 == 0:
                store.tidy(T0 + tick * 10_000)
        store.tidy(T0 + 3_000 * 10_000)
        figures = reader.figures()
        assert figures["bytes"] < 900_000
        assert store.dropped > 0
        assert figures["dropped_through_ms"] > T0
        assert rig.check(["g1"], T0 + 2_900 * 10_000, T0 + 3_000 * 10_000, 500) == "raw"
        assert rig.range(["g1"], T0, T0 + HOUR_MS, 500)["resolution"] != "raw"
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1_500_000


YEARS_MS = 10 * 365 * 24 * HOUR_MS


def test_a_clock_that_was_ahead_does_not_stop_a_counter(rig: Rig) -> None:
    """Its polls are kept, and are no measure for those of the right time that come after them."""
    for tick in range(900):
        rig.post({T0 + YEARS_MS + tick * 1_000: {"c": 0.0}}, 1_000, delay_ms=50 - YEARS_MS)
        rig.store.tidy(T0 + tick * 1_000)
    rig.values.clear()
    start = T0 + HOUR_MS
    for tick in range(1_800):
        rig.post({start + tick * 1_000: {"c": tick * 5.0}}, 1_000)
        rig.store.tidy(start + tick * 1_000)
    assert rig.check(["c"], start, start + 1_800_000, 10_000) == "raw"
    assert rig.check(["c"], start, start + 1_800_000, 40) == "minute"
    assert rig.reader.totals().late == 0
    assert rig.reader.totals().stale_envelopes == 0


def _noise(rig: Rig, from_ms: int, polls: int, delay_ms: int = 50) -> None:
    chance = random.Random(from_ms)
    for tick in range(polls):
        time_ms = from_ms + tick * 10_000
        rig.post({time_ms: {f"g{n}": chance.random() for n in range(40)}}, 10_000, delay_ms)
        if tick % 100 == 0:
            rig.store.tidy(time_ms + delay_ms)


def test_at_its_limit_the_store_loses_first_what_a_clock_ahead_has_left(tmp_path: Path) -> None:
    """It would else stay for years, and what is polled now would go."""
    path = tmp_path / "db.sqlite"
    with (
        Store(path, upkeep.Limits(max_bytes=2_000_000)) as store,
        closing(Reader(path)) as reader,
    ):
        rig = Rig(store, reader)
        _noise(rig, T0 + YEARS_MS, 3_000, delay_ms=-YEARS_MS)
        rig.values.clear()
        start = T0 + 24 * HOUR_MS
        _noise(rig, start, 3_000)
        assert store.dropped > 0
        assert rig.check(["g1"], start + 5_000_000, start + 30_000_000, 5_000) == "raw"
        assert reader.figures()["dropped_through_ms"] is None


def test_what_is_in_no_block_is_sealed_and_removed_at_the_limit(tmp_path: Path) -> None:
    """Many agents have many newest polls, which would else be more than all that may be kept."""
    path = tmp_path / "db.sqlite"
    with Store(path, upkeep.Limits(max_bytes=600_000)) as store, closing(Reader(path)) as reader:
        rig = Rig(store, reader)
        _noise(rig, T0, 600)
        _noise(rig, T0 + HOUR_MS * 2, 600)
        for number in range(20):
            points = [
                _point(f"g{n}", n / 7 + tick, T0 + 4 * HOUR_MS + tick * 1_000, 1_000)
                for n in range(30)
                for tick in range(90)
            ]
            post = Post(T0 + 4 * HOUR_MS, f"{number:064x}", 1_000, tuple(points))
            store.add(post, received_ms=T0 + 4 * HOUR_MS + 90_000, size_bytes=1)
            store.tidy(T0 + 4 * HOUR_MS + 90_000 + number)
        assert reader.figures()["bytes"] < 600_000


def test_names_and_texts_have_a_share_of_the_room(tmp_path: Path) -> None:
    """Series that come and go with long metadata do not push out values; what is known goes on."""
    path = tmp_path / "db.sqlite"
    with Store(path, upkeep.Limits(max_bytes=1_000_000)) as store, closing(Reader(path)) as reader:
        rig = Rig(store, reader)
        refused = 0
        for tick in range(200):
            time_ms = T0 + tick * 1_000
            rig.post({time_ms: {"gauge": float(tick)}}, 1_000)
            known = _point("gauge", 1.0, time_ms, 1_000)
            metadata = tuple((f"m{n}", f"{tick} " * 100) for n in range(40))
            new = replace(known, key="new", checksum=f"{tick:064x}", metadata=metadata)
            text = replace(new, data_type=STRING, value=f"{tick}" + "x" * 400, checksum="e" * 64)
            post = Post(time_ms, AGENT, 1_000, (new, text))
            refused += store.add(post, received_ms=time_ms, size_bytes=1).new_refused
            store.tidy(time_ms)
        assert 0 < refused < 200
        assert reader.figures()["bytes"] < 900_000
        assert store.dropped == 0
        assert rig.check(["gauge"], T0, T0 + 200_000, 1_000) == "raw"


def test_lists_of_series_go_with_their_blocks(tmp_path: Path) -> None:
    """Where the series of each poll differ, their lists take more than the values."""
    path = tmp_path / "db.sqlite"
    chance = random.Random(3)
    with Store(path, upkeep.Limits(max_bytes=1_000_000)) as store, closing(Reader(path)) as reader:
        rig = Rig(store, reader)
        for tick in range(1_500):
            values = {f"g{n}": 1.0 for n in range(200) if chance.random() < 0.5}
            rig.post({T0 + tick * 1_000: values}, 1_000)
            if tick % 100 == 0:
                store.tidy(T0 + tick * 1_000)
        assert store.dropped > 0
        with closing(sqlite3.connect(path)) as connection:
            unused = connection.execute(
                "SELECT count(*) FROM layouts WHERE id NOT IN (SELECT layout FROM polls"
                " UNION SELECT layout FROM buckets UNION SELECT layout FROM blocks)"
            ).fetchone()
        assert unused == (0,)


def test_the_newest_gaps_of_a_slow_agent_are_kept(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says 1 s and polls every 2 s has a gap after each poll, for years."""
    monkeypatch.setattr(upkeep, "_GAPS", 10)
    for tick in range(0, 100, 2):
        rig.post({T0 + tick * 1_000: {"gauge": 1.0}}, 1_000)
    rig.store.tidy(T0 + 100_000)
    (axis,) = rig.range(["gauge"], T0, T0 + 100_000, 500)["agents"]
    assert [gap["after_ms"] for gap in axis["gaps"]] == [
        T0 + tick * 1_000 for tick in range(78, 98, 2)
    ]


def test_a_range_of_polls_closer_than_their_interval_is_made_of_minutes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a change from 1 s to 5 minutes: what there is decides, so that memory stays within bounds."""
    monkeypatch.setattr(ranges, "_MOST_VALUES", 1_000)
    for start in range(0, 2_000, 100):
        polls = {T0 + tick * 1_000: {"gauge": 1.0 * tick} for tick in range(start, start + 100)}
        rig.post(polls, 300_000)
        rig.store.tidy(T0 + start * 1_000)
    assert rig.check(["gauge"], T0, T0 + 2_100_000, 500) == "minute"
    assert rig.check(["gauge"], T0, T0 + 500_000, 500) == "raw"
