"""The schedule of the collector and the ledger of control, which share only messages."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.collect.schedule import Schedule
from pattoo_mp.control.ledger import Ledger
from tests.collect.test_schedule import MS, STEPS, WAITS, Clock
from tests.support.spools import account_of
from tests.wire.posts import quick

INTERVALS_MS = st.sets(st.integers(1, 5000), min_size=1, max_size=3)


@settings(quick, max_examples=300)
@given(
    intervals_ms=INTERVALS_MS,
    start_ms=st.integers(10**12, 2 * 10**12),
    actions=st.lists(st.tuples(WAITS, STEPS, st.none() | INTERVALS_MS), max_size=30),
)
def test_the_ledger_counts_what_the_schedule_missed_over_clock_steps_and_reloads(
    intervals_ms: set[int],
    start_ms: int,
    actions: list[tuple[float, float, set[int] | None]],
) -> None:
    """Poll times never go back, and the ledger counts every missed tick once."""
    clock = Clock(wall=start_ms * MS)
    schedule = Schedule(intervals_ms, clock.wall_ns, clock.monotonic_ns, start_ms)
    ledger = Ledger(*intervals_ms)
    ledger.update_account(account_of(kept=1, waiting=1, newest_ms=start_ms))
    times, missed = [start_ms], 0
    for wait, step, others in actions:
        clock.pass_ms(wait * ledger.interval_ms)
        clock.step_ms(step * ledger.interval_ms)
        for tick in schedule.take():
            ledger.poll(tick.timestamp_ms, "", tick.interval_ms)
            times.append(tick.timestamp_ms)
            missed += tick.missed
        assert ledger.missed.total() == missed
        if others is not None:
            boundary_ms = schedule.change(others, times[-1])
            assert boundary_ms >= times[-1]
            ledger.change_intervals(others, boundary_ms)
    assert all(earlier <= later for earlier, later in pairwise(times))
