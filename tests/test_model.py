"""Layouts and polls, packed and unpacked."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pattoo_mp.errors import WireError
from pattoo_mp.model import FLOAT, INTEGER, Layout, Origin, Poll, Series, pack_values
from tests.wire.posts import FILE_NAMES, LAYOUTS, TIMES_MS, VALUES, quick

if TYPE_CHECKING:
    from pattoo_mp.model import Value

ORIGIN = Origin("a5" * 32, "host.example.org")
LAYOUT = Layout(ORIGIN, 1000, (Series("load", INTEGER, (("type", "Linux"),)),))

FIXED = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.none()


def layout_of(count: int) -> Layout:
    """A layout of `count` series."""
    return Layout(ORIGIN, 1000, tuple(Series(f"k{n}", FLOAT) for n in range(count)))


def content(layout: Layout) -> tuple[Origin, int, tuple[Series, ...]]:
    """Everything in a layout."""
    return layout.origin, layout.interval_ms, layout.series


@quick
@given(LAYOUTS)
def test_a_layout_survives_packing(layout: Layout) -> None:
    """Everything in a layout survives the channel and the spool, including invalid bytes."""
    assert content(Layout.unpack(layout.packed)) == content(layout)


@quick
@given(LAYOUTS)
def test_an_unpacked_layout_has_the_same_identifier(layout: Layout) -> None:
    """So the polls that refer to a layout find it again."""
    back = Layout.unpack(layout.packed)
    assert back.identifier == layout.identifier
    assert back == layout
    assert hash(back) == hash(layout)


@quick
@given(LAYOUTS, LAYOUTS)
def test_identifiers_are_equal_if_and_only_if_the_content_is(one: Layout, other: Layout) -> None:
    """Layouts are equal exactly if their content is."""
    assert (one.identifier == other.identifier) == (content(one) == content(other))


@pytest.mark.parametrize(
    "other",
    [
        replace(LAYOUT, origin=replace(ORIGIN, agent_id="b6" * 32)),
        replace(LAYOUT, origin=replace(ORIGIN, hostname="other")),
        replace(LAYOUT, origin=replace(ORIGIN, program="other")),
        replace(LAYOUT, interval_ms=1001),
        replace(LAYOUT, series=()),
        replace(LAYOUT, series=(*LAYOUT.series, *LAYOUT.series)),
        replace(LAYOUT, series=(Series("loads", INTEGER, (("type", "Linux"),)),)),
        replace(LAYOUT, series=(Series("load", FLOAT, (("type", "Linux"),)),)),
        replace(LAYOUT, series=(Series("load", INTEGER, (("type", "Minix"),)),)),
        replace(LAYOUT, series=(Series("load", INTEGER, (("types", "Linux"),)),)),
        replace(LAYOUT, series=(Series("load", INTEGER, ()),)),
    ],
)
def test_a_layout_with_any_change_is_another(other: Layout) -> None:
    """The identifier depends on everything in the layout."""
    assert other != LAYOUT
    assert other.identifier != LAYOUT.identifier


def test_an_identifier_is_16_hex_digits() -> None:
    """It is short enough to be part of each poll."""
    assert len(LAYOUT.identifier) == 16
    assert int(LAYOUT.identifier, 16) >= 0


def test_an_identifier_is_stable() -> None:
    """The next run can read the spool of an earlier one."""
    assert LAYOUT.identifier == "de2c43aca86201e8"


def test_a_layout_equals_nothing_but_a_layout() -> None:
    """Not even its identifier."""
    assert LAYOUT.identifier != LAYOUT


@quick
@given(FILE_NAMES)
def test_a_name_that_is_not_utf8_survives(name: str) -> None:
    """The bytes of a mount point are unchanged by the channel and the spool."""
    layout = replace(LAYOUT, series=(Series("load", INTEGER, (("mount", name),)),))
    assert Layout.unpack(layout.packed).series[0].metadata == (("mount", name),)


@quick
@given(st.lists(FIXED, max_size=20), TIMES_MS)
def test_a_poll_returns_its_values(values: list[Value], timestamp_ms: int) -> None:
    """64-bit integers, floats, infinities and missing values are unchanged."""
    poll = Poll.of(layout_of(len(values)), timestamp_ms, values)
    assert poll.values() == values
    assert [type(v) for v in poll.values()] == [type(v) for v in values]
    assert poll.timestamp_ms == timestamp_ms


def test_a_poll_returns_a_nan() -> None:
    """The encoder, not the poll, checks values."""
    (value,) = Poll.of(layout_of(1), 0, [math.nan]).values()
    assert math.isnan(value or 0)


@quick
@given(st.lists(VALUES, max_size=10))
def test_any_values_can_be_polled(values: list[Value]) -> None:
    """No value from a source can make a poll fail."""
    assert len(Poll.of(layout_of(len(values)), 0, values).values()) == len(values)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**29])
def test_an_int_beyond_64_bits_becomes_the_nearest_float(value: int) -> None:
    """The server stores a float anyway."""
    assert Poll.of(layout_of(1), 0, [value]).values() == [float(value)]


@pytest.mark.parametrize(
    ("value", "expected"), [(10**400, math.inf), (-(10**400), -math.inf)], ids=["above", "below"]
)
def test_an_int_beyond_all_floats_becomes_infinite(value: int, expected: float) -> None:
    """The encoder leaves it out; the other values of the poll are unaffected."""
    assert Poll.of(layout_of(2), 0, [value, 7]).values() == [expected, 7]


def test_the_values_beside_a_large_one_stay_as_they_are() -> None:
    """An integer beyond 64 bits does not turn others into floats, and None stays None."""
    values = Poll.of(layout_of(4), 0, [2**64 - 1, 2**64, None, 1.5]).values()
    assert values == [2**64 - 1, float(2**64), None, 1.5]
    assert type(values[0]) is int


@pytest.mark.parametrize("count", [0, 2])
def test_a_poll_with_a_wrong_number_of_values_is_refused(count: int) -> None:
    """Otherwise values could not be assigned to series."""
    with pytest.raises(WireError, match=f"{count} values for a layout of 1"):
        Poll.of(LAYOUT, 0, [1] * count)


def unpacked_or_refused(packed: bytes) -> Layout | None:
    """Return the layout, or None if the bytes are refused; anything else fails the test."""
    try:
        return Layout.unpack(packed)
    except WireError:
        return None


@quick
@given(st.binary(max_size=60))
@example(msgpack.packb([["a", "h", "p"], math.inf, []]))
@example(msgpack.packb([["a", "h", "p"], 1000, [["k", math.inf, []]]]))
@example(msgpack.packb([["a", "h", "p", "q"], 1000, []]))
@example(b"\x91" * 2000)
def test_any_bytes_are_a_layout_or_refused(packed: bytes) -> None:
    """Damage raises WireError and nothing else; a layout that is read can be used."""
    layout = unpacked_or_refused(packed)
    assert layout is None or layout.identifier


@quick
@given(LAYOUTS, st.data())
def test_a_layout_with_a_changed_byte_is_read_or_refused(
    layout: Layout, data: st.DataObject
) -> None:
    """A changed byte on the disk raises WireError and nothing else."""
    place = data.draw(st.integers(0, len(layout.packed) - 1))
    damaged = bytearray(layout.packed)
    damaged[place] = data.draw(st.integers(0, 255))
    unpacked_or_refused(bytes(damaged))


@quick
@given(LAYOUTS, st.data())
def test_a_truncated_layout_is_refused(layout: Layout, data: st.DataObject) -> None:
    """A truncated layout is never read."""
    cut = layout.packed[: data.draw(st.integers(0, len(layout.packed) - 1))]
    with pytest.raises(WireError, match="unreadable layout"):
        Layout.unpack(cut)


@quick
@given(st.binary(max_size=60))
@example(b"\x91" * 2000)
def test_any_bytes_are_values_or_refused(packed: bytes) -> None:
    """A damaged poll raises WireError and nothing else."""
    try:
        values = Poll(LAYOUT.identifier, 0, packed).values()
    except WireError:
        return
    assert isinstance(values, list)


def test_an_agents_own_layouts_and_polls_are_as_in_every_release() -> None:
    """A spool of any release goes on, and none has a trace of spokes."""
    origin = Origin("a5" * 32, "host.example.org", "pattoo_agent_os_autonomousd")
    one = Layout(
        origin, 1000, (Series("load", INTEGER, (("hostname", "host"),)), Series("x", FLOAT))
    )
    divided = Layout.of_parts([one, Layout(origin, 1000, (Series("y", FLOAT),))])
    assert (one.identifier, divided.identifier) == ("53b1a2e61be539db", "a27e86f01a912328c392")
    assert Poll.of(one, 5, [1, 2.5]).packed.hex() == "9201cb4004000000000000"


@quick
@given(LAYOUTS)
def test_a_spokes_layout_is_small_and_keeps_its_target(layout: Layout) -> None:
    """It is compressed, and has the same bytes after it was unpacked."""
    origin = replace(layout.origin, polled_target="another")
    made = replace(layout, origin=origin, compressed=True)
    back = Layout.unpack(made.packed)
    assert (back, back.compressed, back.packed) == (made, True, made.packed)
    assert content(back) == content(made)
    assert back.origin.target == "another"
    assert replace(origin, polled_target="").target == origin.hostname


def test_values_with_times_of_their_own_survive_packing() -> None:
    """Those of an original spoke's page."""
    poll = Poll("id", 5, pack_values([1, None, 2.5], [0, 3, 3]), "group")
    assert poll.values() == [1, None, 2.5]
    assert poll.timed() == ([1, None, 2.5], [0, 3, 3])
    assert Poll("id", 5, pack_values([1, 2])).timed() == ([1, 2], None)
    for bad in ({"values": [1], "later_ms": [1, 2]}, {"values": [1], "later_ms": ["x"]}, {}, 5):
        with pytest.raises(WireError):
            Poll("id", 5, msgpack.packb(bad)).values()
