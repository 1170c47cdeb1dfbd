"""How long polls may lie unread in the link."""

from __future__ import annotations

import pytest

from pattoo_mp.upload.uploader import rest_s
from tests.spool.polls import poll


def test_polls_that_come_one_by_one_are_read_at_once() -> None:
    """There is nothing to be saved by letting them wait."""
    assert rest_s([], 1.0) == 0
    assert rest_s([poll(1)], 1.0) == 0


@pytest.mark.parametrize("number", [2, 10, 50])
def test_polls_that_share_a_commit_wait_for_the_next(number: int) -> None:
    """Until then nothing is done with them."""
    assert rest_s([poll(n) for n in range(number)], 1.0) == 1.0


def test_no_more_wait_than_a_link_takes() -> None:
    """At ten times the rate, a tenth of the time."""
    some, more = (rest_s([poll(n) for n in range(number)], 1.0) for number in (200, 2_000))
    assert 0.1 < some < 1.0
    assert more == pytest.approx(some / 10, rel=0.01)
