"""Which sources the next collector does not read."""

from __future__ import annotations

from pattoo_mp.control.hangs import Hangs


def test_a_source_is_tried_again_after_an_hour_if_its_collector_could_be_killed() -> None:
    """Each attempt may cost a minute of polls."""
    now = [0.0]
    hangs = Hangs(lambda: now[0])
    hangs.killed("users", 7)
    now[0] = 3599
    assert hangs.reasons() == {
        "users": "an earlier collector (process 7) hung in it; it is tried again every hour"
    }
    now[0] = 3601
    assert hangs.reasons() == {}


def test_a_source_is_tried_again_when_the_process_that_hangs_in_it_has_ended() -> None:
    """Not before, and not when another one ends."""
    now = [0.0]
    hangs = Hangs(lambda: now[0])
    hangs.killed("users", 7)
    hangs.left_behind("users", 7)
    hangs.left_behind("memory", 8)
    now[0] = 1e6
    assert set(hangs.reasons()) == {"users", "memory"}
    hangs.ended(7)
    assert hangs.reasons() == {"memory": "process 8, which cannot be killed, hangs in it"}
