"""How long to wait after failures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.upload.pacing import Backoff


def longest(_low: float, high: float) -> float:
    """Draw the bound."""
    return high


def test_the_bound_doubles_up_to_thirty_seconds() -> None:
    """1, 2, 4 … and never more than 30 s, however long the server is away."""
    backoff = Backoff(longest)
    delays = [backoff.failed() for _ in range(2000)]
    assert delays[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert set(delays[7:]) == {30}


def test_the_delay_is_drawn_from_nothing_to_the_bound() -> None:
    """Full jitter: the agents of a site do not come back as one."""
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    backoff = Backoff(draw)
    assert [backoff.failed() for _ in range(3)] == [0, 0, 0]
    assert drawn == [(0, 1), (0, 2), (0, 4)]


def test_a_success_begins_anew() -> None:
    """The next failure is the first again."""
    backoff = Backoff(longest)
    for _ in range(10):
        backoff.failed()
    backoff.succeeded()
    assert [backoff.failed(), backoff.failed()] == [1, 2]


@given(st.lists(st.booleans(), max_size=60))
def test_a_real_draw_is_never_out_of_bounds(outcomes: list[bool]) -> None:
    """Whatever fails and succeeds, the delay is between 0 and 30 s."""
    backoff = Backoff()
    for delivered in outcomes:
        if delivered:
            backoff.succeeded()
        else:
            assert 0 <= backoff.failed() <= 30


def test_what_only_a_person_can_mend_is_tried_rarely_and_not_in_step() -> None:
    """From the first time on after 15 to 30 s: agents that were refused as one come back apart."""
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    backoff = Backoff(draw)
    assert [backoff.slow(), backoff.slow()] == [30, 30]
    assert drawn == [(15, 30), (15, 30)]
    real = Backoff()
    assert len({real.slow() for _ in range(20)}) > 1
