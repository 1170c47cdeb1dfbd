"""The bytes of remote write messages, read by a small decoder of our own."""

from __future__ import annotations

import math
import struct

import pytest

from pattoo_mp.upload.remote_write.message import Block, labels_of, metadata, request, varint
from tests.support.remote_write import decoded, fields

TIMES = (1_796_000_000_000, 1_796_000_000_100, 1_796_000_000_200)
STALE = 0x7FF0000000000002


def bits(value: float) -> int:
    """Return the bits of a float."""
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def test_samples_of_many_series() -> None:
    """Each has its labels, sorted, and a sample for each time."""
    block = Block(
        TIMES,
        [
            (labels_of({"b": "2", "__name__": "x", "empty": ""}), (1, 2.5, 2**63)),
            (labels_of({"__name__": "y"}), (0, -1, 1e300)),
        ],
    )
    assert decoded(request([block])) == {
        (("__name__", "x"), ("b", "2")): list(zip(TIMES, map(bits, (1, 2.5, 2**63)), strict=True)),
        (("__name__", "y"),): list(zip(TIMES, map(bits, (0, -1, 1e300)), strict=True)),
    }


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf, "1", 10**400, b"1", [1]])
def test_what_is_no_finite_number_is_left_out(bad: object) -> None:
    """The other samples of the series stay, and a series without any is left out."""
    block = Block(
        TIMES,
        [(labels_of({"__name__": "x"}), (1, bad, 3)), (labels_of({"__name__": "y"}), (bad,) * 3)],
    )
    assert decoded(request([block])) == {
        (("__name__", "x"),): [(TIMES[0], bits(1)), (TIMES[2], bits(3))]
    }


def test_blocks_follow_one_another() -> None:
    """A series of several blocks is there once; one that ended gets a marker before what follows."""
    x, y = labels_of({"__name__": "x"}), labels_of({"__name__": "y"})
    blocks = [
        Block(TIMES[:1], [(x, (1,)), (y, (1,))]),
        Block(TIMES[1:2], [(x, (2,))], (y,)),
        Block(TIMES[2:], [(x, (3,)), (y, (3,))]),
    ]
    assert decoded(request(blocks)) == {
        (("__name__", "x"),): [(time, bits(n)) for n, time in enumerate(TIMES, 1)],
        (("__name__", "y"),): [(TIMES[0], bits(1)), (TIMES[1], STALE), (TIMES[2], bits(3))],
    }


def test_metadata() -> None:
    """Type, name, help and unit of a metric."""
    ((number, content),) = fields(metadata(1, "x_total", "All of x.", "bytes"))
    assert number == 3
    assert dict(fields(content)) == {1: 1, 2: b"x_total", 4: b"All of x.", 5: b"bytes"}


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**40, 2**63 - 1])
def test_numbers(number: int) -> None:
    """They are read as they were written."""
    assert fields(b"\x08" + varint(number)) == [(1, number)]
