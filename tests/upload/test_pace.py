"""When the next post is tried."""

from __future__ import annotations

import statistics

from pattoo_mp.upload.delivery import Attempt
from pattoo_mp.upload.pace import Pace, offset_s


def test_offsets_are_spread_evenly_and_stay_the_same() -> None:
    """Each agent has its own moment, the same at each start; together they fill the time."""
    offsets = [offset_s(f"agent {number}", 60) for number in range(2000)]
    assert offsets == [offset_s(f"agent {number}", 60) for number in range(2000)]
    assert min(offsets) >= 0
    assert max(offsets) < 60
    quartiles = statistics.quantiles(offsets, n=4)
    assert all(
        abs(found - wanted) < 2 for found, wanted in zip(quartiles, (15, 30, 45), strict=True)
    )


def test_without_jitter_every_post_goes_at_once() -> None:
    """A jitter of nothing is an offset of nothing, whoever the agent is."""
    assert offset_s("f" * 64, 0) == 0
    pace = Pace()
    for now in (10.0, 20.0):
        pace.something_came(now)
        assert pace.not_before <= now


def test_the_first_post_goes_at_once_and_later_ones_wait_for_their_moment() -> None:
    """What comes when nothing was waiting is posted at the agent's own moment after it."""
    pace = Pace(7)
    pace.something_came(100)
    assert pace.not_before <= 100
    pace.tried(Attempt(polls=1, wait_s=60), 100, 101)
    pace.something_came(160)
    assert pace.not_before == 167


def test_posts_are_spaced_from_start_to_start_and_failures_from_their_end() -> None:
    """A slow answer does not make posts rarer; a failed attempt is followed by a whole wait."""
    pace = Pace()
    pace.tried(Attempt(polls=1, wait_s=1), 10, 13)
    assert pace.not_before == 11
    pace.tried(Attempt("hangs", wait_s=4), 13, 43)
    assert pace.not_before == 47
