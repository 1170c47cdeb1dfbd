"""Columns of numbers: what is decoded is what was encoded, and regular ones are small."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.receiver.columns import decode, decode_integers, encode, encode_integers

FINITE = st.floats(allow_nan=False, allow_infinity=False)
#: What hosts report: percentages, times in hundredths, and bytes.
USUAL = st.one_of(
    st.integers(0, 2**50).map(float),
    st.integers(-(10**6), 10**6).map(lambda n: n / 10),
    st.integers(0, 10**9).map(lambda n: n / 100),
)


@given(st.one_of(st.lists(FINITE, min_size=1), st.lists(USUAL, min_size=1)))
def test_any_numbers_come_back_equal(values: list[float]) -> None:
    """To the last bit, whatever form was chosen."""
    assert decode(encode(values), len(values)) == values


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1))
def test_any_integers_come_back_equal(values: list[int]) -> None:
    """Times and delays are kept like this."""
    assert decode_integers(encode_integers(values), len(values)) == values


@pytest.mark.parametrize(
    ("name", "most"), [("constant", 0.1), ("ticks", 0.1), ("percentage", 1.1), ("counter", 2.1)]
)
def test_regular_columns_are_small(name: str, most: float) -> None:
    """A column of ten minutes takes about the bytes that its digits are worth."""
    chance = random.Random(1)
    total = 0.0
    columns: dict[str, list[float]] = {"counter": []}
    for _ in range(600):
        total += chance.randrange(20_000)
        columns["counter"].append(total)
    columns["constant"] = [0.1] * 600
    columns["ticks"] = [1.7e12 + 1000 * number for number in range(600)]
    columns["percentage"] = [round(chance.gauss(30, 3), 1) for _ in range(600)]
    assert len(encode(columns[name])) / 600 < most
