"""The body of a post, for layouts and values of every kind."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pattoo_mp.errors import WireError
from pattoo_mp.model import FLOAT, INTEGER, Layout, Poll, Series, Value
from pattoo_mp.wire.encode import encode
from pattoo_mp.wire.safe import TEXT_BYTES, normalise, safe_text, sendable
from tests.wire.posts import (
    AGENT_ID,
    LAYOUTS,
    ORIGIN,
    TIMES_MS,
    VALUES,
    datapoints,
    document,
    pair_lists,
    quick,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REQUIRED = {
    "pattoo_agent_polling_interval",
    "pattoo_agent_hostname",
    "pattoo_agent_id",
    "pattoo_agent_polled_target",
    "pattoo_agent_program",
    "pattoo_key",
    "pattoo_data_type",
    "pattoo_value",
    "pattoo_timestamp",
    "pattoo_checksum",
}
LOAD = Layout(ORIGIN, 1000, (Series("load", INTEGER), Series("speed", FLOAT)))

Snapshot = tuple[Layout, int, list[Value]]


@st.composite
def looks(draw: st.DrawFn) -> list[Snapshot]:
    """Polls of up to three layouts in any order: the layout, the time and the values of each."""
    layouts = draw(st.lists(LAYOUTS, min_size=1, max_size=3))
    chosen = draw(st.lists(st.sampled_from(layouts), min_size=1, max_size=5))
    return [
        (layout, draw(TIMES_MS), draw(st.lists(VALUES, min_size=n, max_size=n)))
        for layout in chosen
        for n in [len(layout.series)]
    ]


def post(polled: Sequence[Snapshot], envelope_ms: int = 1) -> bytes:
    """The body of one post with all of these polls."""
    layouts = {layout.identifier: layout for layout, _, _ in polled}
    return encode(layouts, [Poll.of(*look) for look in polled], envelope_ms)


def expected(polled: Sequence[Snapshot]) -> list[dict[str, Any]]:
    """What the server should read for each sendable value, except the checksum."""
    return [
        {
            **dict(normalise(series.metadata)),
            "pattoo_agent_hostname": safe_text(layout.origin.hostname),
            "pattoo_agent_id": AGENT_ID,
            "pattoo_agent_polled_target": safe_text(layout.origin.hostname),
            "pattoo_agent_program": layout.origin.program,
            "pattoo_agent_polling_interval": str(layout.interval_ms),
            "pattoo_data_type": series.data_type,
            "pattoo_timestamp": timestamp_ms,
            "pattoo_value": value if -(2**63) <= value < 2**64 else float(value),
        }
        for layout, timestamp_ms, values in polled
        for series, value in zip(layout.series, values, strict=True)
        if sendable(value)
    ]


def strip(point: Mapping[str, Any]) -> dict[str, Any]:
    """A datapoint without the pairs that other tests check."""
    return {k: v for k, v in point.items() if k not in {"pattoo_key", "pattoo_checksum"}}


@quick
@given(looks())
@example([(LOAD, 1, [None, float("nan")])])
@example([(LOAD, 1, [1, float("inf")]), (LOAD, 2, [10**400, -0.0])])
def test_a_post_holds_what_was_polled(polled: list[Snapshot]) -> None:
    """Each sendable value once, in order, with all its pairs; other values are left out."""
    assert [strip(point) for point in datapoints(post(polled))] == expected(polled)


@quick
@given(looks())
def test_each_datapoint_has_the_ten_pairs_that_the_server_requires(polled: list[Snapshot]) -> None:
    """It silently drops a datapoint that lacks one."""
    for point in datapoints(post(polled)):
        assert set(point) >= REQUIRED


@quick
@given(looks())
def test_no_datapoint_has_a_key_twice(polled: list[Snapshot]) -> None:
    """So it does not matter which of two pairs the server uses."""
    for pairs in pair_lists(post(polled)):
        assert len(dict(pairs)) == len(pairs)


@quick
@given(looks())
def test_the_pairs_have_the_types_that_the_server_expects(polled: list[Snapshot]) -> None:
    """Times and types are integers, values numbers, and everything else is text."""
    for point in datapoints(post(polled)):
        assert type(point.pop("pattoo_timestamp")) is int
        assert type(point.pop("pattoo_data_type")) is int
        assert type(point.pop("pattoo_value")) in {int, float}
        assert int(point["pattoo_agent_polling_interval"]) > 0
        assert all(type(value) is str for value in point.values())


@quick
@given(looks())
def test_every_text_fits_the_columns_of_the_server(polled: list[Snapshot]) -> None:
    """Nothing over 512 bytes is sent, and nothing that is not valid UTF-8."""
    for pairs in pair_lists(post(polled)):
        for key, value in pairs:
            assert len(key.encode()) <= TEXT_BYTES
            assert len(str(value).encode()) <= TEXT_BYTES


@quick
@given(looks())
def test_program_and_key_fit_one_column(polled: list[Snapshot]) -> None:
    """The server joins the program, an underscore and the key in 512 bytes."""
    for point in datapoints(post(polled)):
        joined = f"{point['pattoo_agent_program']}_{point['pattoo_key']}"
        assert len(joined.encode()) <= TEXT_BYTES


@quick
@given(looks())
def test_a_series_has_one_checksum_and_other_series_have_others(polled: list[Snapshot]) -> None:
    """The checksum depends on what the server can see, and on nothing else."""
    uncounted = {"pattoo_value", "pattoo_timestamp", "pattoo_checksum", "release", "version"}
    uncounted.add("pattoo_agent_polling_interval")
    seen = {
        (tuple(pair for pair in pairs if pair[0] not in uncounted), dict(pairs)["pattoo_checksum"])
        for pairs in pair_lists(post(polled))
    }
    assert len({series for series, _ in seen}) == len(seen)
    assert len({checksum for _, checksum in seen}) == len(seen)


@quick
@given(looks())
def test_no_pair_is_in_a_post_twice(polled: list[Snapshot]) -> None:
    """Datapoints and polls of a post share pairs."""
    pairs = document(post(polled))["pattoo_datapoints"]["key_value_pairs"].values()
    # As text: 1 and 1.0 are equal, and two pairs.
    written = [json.dumps(pair) for pair in pairs]
    assert len(set(written)) == len(written)


@quick
@given(looks(), TIMES_MS)
def test_the_envelope_has_the_four_keys_of_the_server(
    polled: list[Snapshot], envelope_ms: int
) -> None:
    """Its time is the given one, its interval that of the first poll."""
    content = document(post(polled, envelope_ms))
    points = content.pop("pattoo_datapoints")
    assert set(points) == {"key_value_pairs", "datapoint_pairs"}
    assert content == {
        "pattoo_agent_timestamp": envelope_ms,
        "pattoo_agent_id": AGENT_ID,
        "pattoo_agent_polling_interval": polled[0][0].interval_ms,
    }


@quick
@given(looks())
def test_the_same_polls_make_the_same_body(polled: list[Snapshot]) -> None:
    """A post made again, for example after a restart, is identical to the byte."""
    assert post(polled) == post(polled)


def test_polls_share_their_pairs() -> None:
    """A second poll with the same values adds one pair: its time."""
    one = document(post([(LOAD, 1000, [5, 2.5])]))["pattoo_datapoints"]
    two = document(post([(LOAD, 1000, [5, 2.5]), (LOAD, 2000, [5, 2.5])]))["pattoo_datapoints"]
    assert len(two["key_value_pairs"]) == len(one["key_value_pairs"]) + 1
    assert len(two["datapoint_pairs"]) == 4


def test_a_value_that_several_datapoints_have_is_one_pair() -> None:
    """Two series with the same value refer to one pair, and to one time."""
    pairs = document(post([(LOAD, 1000, [5, 5])]))["pattoo_datapoints"]["key_value_pairs"].values()
    assert list(pairs).count(["pattoo_value", 5]) == 1
    assert list(pairs).count(["pattoo_timestamp", 1000]) == 1


def test_the_pairs_that_are_used_most_have_the_shortest_numbers() -> None:
    """Among a host's static pairs, next to as many times as a post at 10 Hz has."""
    host = tuple((f"about {n}", "this host") for n in range(6))
    series = [Series(f"key {n // 2}", FLOAT, (*host, ("disk", str(n % 2)))) for n in range(100)]
    layout = Layout(ORIGIN, 100, tuple(series))
    points = document(post([(layout, n, [n] * 100) for n in range(20)]))["pattoo_datapoints"]
    uses = Counter(number for row in points["datapoint_pairs"] for number in row)
    lasting = [n for n in uses if points["key_value_pairs"][str(n)][0] != "pattoo_value"]
    found = [len(str(n)) for n in sorted(lasting, key=lambda n: (-uses[n], n))]
    assert found == sorted(found)


def test_a_post_has_room_for_many_times() -> None:
    """Times beyond the short numbers get longer ones, next to values and series."""
    polled: list[Snapshot] = [(LOAD, time % 50, [time, 0.5]) for time in range(100)]
    assert [strip(point) for point in datapoints(post(polled))] == expected(polled)


def test_layouts_of_one_post_share_their_pairs() -> None:
    """A changed layout adds only its new pairs."""
    more = Layout(ORIGIN, 1000, (*LOAD.series, Series("heat", FLOAT)))
    body = post([(LOAD, 1000, [1, 2]), (more, 2000, [1, 2, 3])])
    keys = [point["pattoo_key"] for point in datapoints(body)]
    pairs = document(body)["pattoo_datapoints"]["key_value_pairs"].values()
    assert keys == ["load", "speed", "load", "speed", "heat"]
    assert [key for key, _ in pairs].count("pattoo_agent_hostname") == 1
    assert [key for key, _ in pairs].count("pattoo_checksum") == 3


def test_an_int_and_a_float_stay_what_they_are() -> None:
    """5 does not become 5.0 because another series has that, nor the other way round."""
    values = [
        p["pattoo_value"] for p in datapoints(post([(LOAD, 1, [5, 5.0]), (LOAD, 2, [5.0, 5])]))
    ]
    assert [type(value) for value in values] == [int, float, float, int]


def test_a_key_is_lower_cased_stripped_and_made_safe() -> None:
    """A key is sent as the original library makes it, and cut if it is too long."""
    layout = Layout(ORIGIN, 1000, (Series(" Fan_RPM ", FLOAT), Series("x" * 600, FLOAT)))
    short, long = (p["pattoo_key"] for p in datapoints(post([(layout, 1, [1, 2])])))
    assert short == "fan_rpm"
    assert long.startswith("xxx")
    assert len(f"{ORIGIN.program}_{long}") == TEXT_BYTES


def test_an_empty_poll_is_a_post_without_datapoints() -> None:
    """A host without values still makes a body that the server accepts."""
    assert datapoints(post([(Layout(ORIGIN, 1000, ()), 1, [])])) == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_poll_that_does_not_fit_its_layout_is_refused(count: int) -> None:
    """Otherwise values would be sent under another series' name."""
    poll = Poll(LOAD.identifier, 1, msgpack.packb([1] * count))
    with pytest.raises(WireError, match=f"{count} values for a layout of 2"):
        encode({LOAD.identifier: LOAD}, [poll], 1)


@quick
@given(st.binary(max_size=40))
def test_a_damaged_poll_is_refused_or_read(packed: bytes) -> None:
    """Any bytes give either a body that can be sent or a WireError."""
    try:
        body = encode({LOAD.identifier: LOAD}, [Poll(LOAD.identifier, 1, packed)], 1)
    except WireError:
        return
    assert all(sendable(point["pattoo_value"]) for point in datapoints(body))


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"\x92\x01", b"\x05", b"\x92\x01\x02\x03"])
def test_bytes_that_are_not_a_list_of_values_are_refused(packed: bytes) -> None:
    """Nothing, an unused code, half a list, a bare number, and a list with trailing bytes."""
    with pytest.raises(WireError, match="unreadable poll"):
        encode({LOAD.identifier: LOAD}, [Poll(LOAD.identifier, 1, packed)], 1)


# Divided layouts.


def part(number: int, series: int = 3) -> Layout:
    """One of the parts of a large layout."""
    names = range(number * 100, number * 100 + series)
    return Layout(
        ORIGIN, 1000, tuple(Series("usage", INTEGER, (("disk", f"sd{n}"),)) for n in names)
    )


def undivided(layout: Layout) -> Layout:
    """The same series in one piece."""
    return replace(layout, parts=())


def test_a_divided_layout_is_sent_like_any_other() -> None:
    """With the same datapoints, whatever was sent before; one value is left out."""
    kept = list(range(8))
    for number in range(8, 40):
        kept[number % 8] = number
        layout = Layout.of_parts([part(n) for n in kept])
        values: list[Value] = [*range(len(layout.series))]
        values[number % 24] = None
        divided = pair_lists(post([(layout, 5, values)]))
        whole = pair_lists(post([(undivided(layout), 5, values)]))
        assert divided == whole
        assert len(divided) == 23


def test_polls_of_divided_layouts_share_a_post_with_others() -> None:
    """Each part is described once."""
    first = Layout.of_parts([part(n) for n in range(6)])
    second = Layout.of_parts([part(n) for n in (0, 1, 2, 3, 4, 9)])
    polled: list[Snapshot] = [
        (layout, time, [*range(len(layout.series))])
        for time, layout in enumerate((first, LOAD, second, first), 1)
    ]
    whole = [(undivided(layout), time, values) for layout, time, values in polled]
    assert pair_lists(post(polled)) == pair_lists(post(whole))


def test_the_numbers_of_a_post_that_changes_all_the_time_stay_small() -> None:
    """Those of parts that are gone are given again."""
    kept = list(range(8))
    for number in range(8, 200):
        kept[number % 8] = number
        layout = Layout.of_parts([part(n) for n in kept])
        body = document(post([(layout, 5, [7] * len(layout.series))]))
        numbers = [int(n) for n in body["pattoo_datapoints"]["key_value_pairs"]]
        used = {n for row in body["pattoo_datapoints"]["datapoint_pairs"] for n in row}
        assert set(numbers) == used
        assert max(numbers) < 2 * len(numbers) + 30


def test_a_poll_that_does_not_fit_its_divided_layout_is_refused() -> None:
    """Not cut at the end of a part."""
    layout = Layout.of_parts([part(n) for n in range(6)])
    poll = Poll(layout.identifier, 1, Poll.of(undivided(layout), 1, [1] * 18).packed)
    smaller = Layout.of_parts(layout.parts[:5])
    with pytest.raises(WireError, match="18 values for a layout of 15 series"):
        encode({layout.identifier: smaller}, [poll], 1)


def test_two_outputs_may_encode_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a thread. They share the templates, of which fewer are kept than there are layouts."""
    layouts = [Layout(ORIGIN, 1000, (Series(f"key_{number}", INTEGER),)) for number in range(9)]
    failed: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: failed.append(found.exc_value))

    def encode_often(step: int) -> None:
        for number in range(3000):
            layout = layouts[number * step % len(layouts)]
            body = encode({layout.identifier: layout}, [Poll.of(layout, 5, [1])], 7)
            assert layout.series[0].key.encode() in body

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=encode_often, args=(step,)) for step in (1, 2, 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert failed == []
