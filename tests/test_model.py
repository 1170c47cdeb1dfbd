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
from pattoo_mp.model import FLOAT, INTEGER, Layout, Origin, Poll, Series
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
    """All that a layout says."""
    return layout.origin, layout.interval_ms, layout.series


@quick
@given(LAYOUTS)
def test_a_layout_comes_back_as_it_was(layout: Layout) -> None:
    """What a layout says survives the channel and the spool, to the last stray byte."""
    assert content(Layout.unpack(layout.packed)) == content(layout)


@quick
@given(LAYOUTS)
def test_a_layout_that_comes_back_has_the_same_identifier(layout: Layout) -> None:
    """The polls that refer to a layout find it again."""
    back = Layout.unpack(layout.packed)
    assert back.identifier == layout.identifier
    assert back == layout
    assert hash(back) == hash(layout)


@quick
@given(LAYOUTS, LAYOUTS)
def test_identifiers_are_equal_if_and_only_if_the_content_is(one: Layout, other: Layout) -> None:
    """Two layouts are the same to everybody exactly when they say the same."""
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
def test_a_layout_differs_from_its_neighbours(other: Layout) -> None:
    """Each thing that a layout says is in its identifier."""
    assert other != LAYOUT
    assert other.identifier != LAYOUT.identifier


def test_an_identifier_is_16_hex_digits() -> None:
    """It is short enough to go with each poll."""
    assert len(LAYOUT.identifier) == 16
    assert int(LAYOUT.identifier, 16) >= 0


def test_an_identifier_is_stable() -> None:
    """A spool written by an earlier run is read by the next one."""
    assert LAYOUT.identifier == "de2c43aca86201e8"


def test_a_layout_equals_nothing_but_a_layout() -> None:
    """Its identifier alone is not it."""
    assert LAYOUT.identifier != LAYOUT


@quick
@given(FILE_NAMES)
def test_a_name_that_is_not_utf8_survives(name: str) -> None:
    """A mount point's bytes are the same after the channel and the spool."""
    layout = replace(LAYOUT, series=(Series("load", INTEGER, (("mount", name),)),))
    assert Layout.unpack(layout.packed).series[0].metadata == (("mount", name),)


@quick
@given(st.lists(FIXED, max_size=20), TIMES_MS)
def test_a_poll_gives_back_its_values(values: list[Value], timestamp_ms: int) -> None:
    """Ints of 64 bits, floats, infinities and what was not there come back as they were."""
    poll = Poll.of(layout_of(len(values)), timestamp_ms, values)
    assert poll.values() == values
    assert [type(v) for v in poll.values()] == [type(v) for v in values]
    assert poll.timestamp_ms == timestamp_ms


def test_a_poll_gives_back_a_nan() -> None:
    """It is the encoder that judges values, not the poll."""
    (value,) = Poll.of(layout_of(1), 0, [math.nan]).values()
    assert math.isnan(value or 0)


@quick
@given(st.lists(VALUES, max_size=10))
def test_any_values_can_be_polled(values: list[Value]) -> None:
    """No value that a source may give stops the poll."""
    assert len(Poll.of(layout_of(len(values)), 0, values).values()) == len(values)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**29])
def test_an_int_beyond_64_bits_becomes_the_nearest_float(value: int) -> None:
    """The server keeps a float in any case."""
    assert Poll.of(layout_of(1), 0, [value]).values() == [float(value)]


@pytest.mark.parametrize(
    ("value", "expected"), [(10**400, math.inf), (-(10**400), -math.inf)], ids=["above", "below"]
)
def test_an_int_beyond_all_floats_becomes_infinite(value: int, expected: float) -> None:
    """It is left out by the encoder; the poll's other values go on."""
    assert Poll.of(layout_of(2), 0, [value, 7]).values() == [expected, 7]


def test_the_values_beside_a_large_one_stay_as_they_are() -> None:
    """One int beyond 64 bits makes floats of no others, and None stays None."""
    values = Poll.of(layout_of(4), 0, [2**64 - 1, 2**64, None, 1.5]).values()
    assert values == [2**64 - 1, float(2**64), None, 1.5]
    assert type(values[0]) is int


@pytest.mark.parametrize("count", [0, 2])
def test_a_poll_of_another_number_of_values_is_refused(count: int) -> None:
    """Each series has one value, or none is known to be its own."""
    with pytest.raises(WireError, match=f"{count} values for a layout of 1"):
        Poll.of(LAYOUT, 0, [1] * count)


def unpacked_or_refused(packed: bytes) -> Layout | None:
    """A layout, or None where the bytes were refused; anything else fails the test."""
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
    """Damage raises WireError and nothing else, and what is read can be used."""
    layout = unpacked_or_refused(packed)
    assert layout is None or layout.identifier


@quick
@given(LAYOUTS, st.data())
def test_a_layout_with_a_changed_byte_is_read_or_refused(
    layout: Layout, data: st.DataObject
) -> None:
    """A flipped byte on the disk raises WireError and nothing else."""
    place = data.draw(st.integers(0, len(layout.packed) - 1))
    damaged = bytearray(layout.packed)
    damaged[place] = data.draw(st.integers(0, 255))
    unpacked_or_refused(bytes(damaged))


@quick
@given(LAYOUTS, st.data())
def test_a_layout_that_was_cut_short_is_refused(layout: Layout, data: st.DataObject) -> None:
    """Half a layout is none."""
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
