"""Counts in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pattoo_mp.util.text import counted

PACKAGE = Path(__file__).resolve().parents[1] / "pattoo_mp"
#: What the agent counts. A limit of the program (in capitals) is never one.
_BY_HAND = re.compile(
    r"(?:%d|[^A-Z]\}) "
    r"(?:polls|posts|ticks|datapoints|lines|times|troubles|workers|seconds|unsent posts)\b"
)


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 polls"), (1, "1 poll"), (2, "2 polls"), ("1", "1 poll")]
)
def test_one_is_told_in_the_singular(count: int | str, told: str) -> None:
    """And everything else in the plural."""
    assert counted(count, "poll") == told


def test_no_count_is_put_before_its_unit_by_hand() -> None:
    """A text that says '%d polls' says '1 polls' some day."""
    by_hand = [
        f"{path.relative_to(PACKAGE)}: {found[0]}"
        for path in PACKAGE.glob("**/*.py")
        for found in _BY_HAND.finditer(path.read_text())
    ]
    assert by_hand == []
