"""The ticks, on simulated clocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.collect.schedule import Reason, Schedule, Tick
from tests.wire.posts import quick

MS = 1_000_000
INTERVALS_MS = (10, 33, 1000, 300_000)
#: Not a multiple of any interval above.
START_MS = 1_800_000_000_007
HOUR_MS = 3_600_000


@dataclass
class Clock:
    """A wall clock and a monotonic clock. `pause_ns` passes once, after either is read."""

    wall: int = START_MS * MS
    monotonic: int = 12_345_678_901
    pause_ns: int = 0

    def wall_ns(self) -> int:
        """Like `time.time_ns`."""
        wall = self.wall
        self._pause()
        return wall

    def monotonic_ns(self) -> int:
        """Like `time.monotonic_ns`."""
        monotonic = self.monotonic
        self._pause()
        return monotonic

    def pass_ns(self, duration: int) -> None:
        """Let time go by."""
        self.wall += duration
        self.monotonic += duration

    def pass_ms(self, duration: float) -> None:
        """Let time go by."""
        self.pass_ns(int(duration * MS))

    def step_ms(self, step: float) -> None:
        """Set the wall clock, or suspend the host. The monotonic clock is not affected."""
        self.wall += int(step * MS)

    def _pause(self) -> None:
        duration, self.pause_ns = self.pause_ns, 0
        self.pass_ns(duration)


def schedule_of(clock: Clock, interval_ms: int, after_ms: int = 0) -> Schedule:
    """Return a schedule on `clock`."""
    return Schedule((interval_ms,), clock.wall_ns, clock.monotonic_ns, after_ms)


def waited_tick(schedule: Schedule, clock: Clock) -> Tick:
    """Wait as long as the schedule says, and return the tick. There must be one."""
    clock.pass_ns(round(schedule.wait_s() * 1e9))
    tick = taken(schedule)
    assert tick is not None
    return tick


def taken(schedule: Schedule) -> Tick | None:
    """Return the tick that is due, of a single interval."""
    ticks = schedule.take()
    assert len(ticks) <= 1
    return ticks[0] if ticks else None


def waited(schedule: Schedule, clock: Clock, count: int) -> list[int]:
    """Return the times of the next ticks. None may be missed."""
    ticks = [waited_tick(schedule, clock) for _ in range(count)]
    assert [tick.missed for tick in ticks] == [0] * count
    return [tick.timestamp_ms for tick in ticks]


def first_after(moment_ms: int, interval_ms: int) -> int:
    """Return the first multiple of the interval after a moment."""
    return (moment_ms // interval_ms + 1) * interval_ms


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_ticks_come_at_multiples_of_the_interval(interval_ms: int) -> None:
    """Hosts and restarts line up, even if the interval does not divide a second."""
    clock = Clock()
    first = first_after(START_MS, interval_ms)
    expected = [first + n * interval_ms for n in range(5)]
    assert waited(schedule_of(clock, interval_ms), clock, 5) == expected


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_a_tick_is_not_returned_before_its_time(interval_ms: int) -> None:
    """After a wait that ends a little early there is no tick, and the rest of the wait remains."""
    clock = Clock()
    schedule = schedule_of(clock, interval_ms)
    clock.pass_ns(round(schedule.wait_s() * 1e9) - 1)
    assert taken(schedule) is None
    assert schedule.wait_s() == pytest.approx(1e-9)
    clock.pass_ns(1)
    assert taken(schedule) is not None


def test_a_tick_is_returned_once() -> None:
    """The next one is an interval away."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    waited_tick(schedule, clock)
    assert taken(schedule) is None
    assert schedule.wait_s() == pytest.approx(1.0)


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_a_late_tick_does_not_move_the_next(interval_ms: int) -> None:
    """Lateness below an interval misses nothing, and does not accumulate."""
    clock = Clock()
    schedule = schedule_of(clock, interval_ms)
    first = waited_tick(schedule, clock).timestamp_ms
    times = []
    for _ in range(5):
        clock.pass_ns(round(schedule.wait_s() * 1e9) + interval_ms * MS - 1)
        tick = taken(schedule)
        assert tick is not None
        times.append(tick.timestamp_ms)
        assert tick == Tick(tick.timestamp_ms, interval_ms)
        assert schedule.wait_s() == pytest.approx(1e-9)
    assert times == [first + n * interval_ms for n in range(1, 6)]


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_an_overrun_skips_whole_ticks_and_counts_them(interval_ms: int) -> None:
    """A poll that takes 3.5 intervals: one tick for now, and three missed."""
    clock = Clock()
    schedule = schedule_of(clock, interval_ms)
    first = waited_tick(schedule, clock).timestamp_ms
    clock.pass_ms(interval_ms * 4.5)
    assert taken(schedule) == Tick(first + 4 * interval_ms, interval_ms, 3, Reason.LATE)
    assert taken(schedule) is None
    assert schedule.wait_s() == pytest.approx(interval_ms / 2000)
    assert waited(schedule, clock, 2) == [first + 5 * interval_ms, first + 6 * interval_ms]


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_a_clock_set_forward_is_followed_at_once(interval_ms: int) -> None:
    """An hour forward: one tick for now, all others of the hour are missed, and no burst."""
    clock = Clock()
    schedule = schedule_of(clock, interval_ms)
    first = waited_tick(schedule, clock).timestamp_ms
    clock.step_ms(HOUR_MS)
    assert schedule.wait_s() == 0
    tick = taken(schedule)
    now = (first + HOUR_MS) // interval_ms * interval_ms
    assert tick == Tick(now, interval_ms, (now - first) // interval_ms - 1, Reason.CLOCK)
    assert taken(schedule) is None
    assert waited(schedule, clock, 3) == [now + n * interval_ms for n in (1, 2, 3)]


def test_a_suspended_host_goes_on_at_once() -> None:
    """A suspend in the middle of a wait: the wall clock jumps, the monotonic clock does not."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    first = waited_tick(schedule, clock).timestamp_ms
    clock.pass_ms(300)
    clock.step_ms(8 * HOUR_MS)
    clock.pass_ms(100)
    assert taken(schedule) == Tick(first + 8 * HOUR_MS, 1000, 8 * 3600 - 1, Reason.CLOCK)
    assert schedule.wait_s() == pytest.approx(0.6)


def test_a_step_forward_within_the_interval_misses_nothing() -> None:
    """The next tick comes that much sooner, at its new time."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    first = waited_tick(schedule, clock).timestamp_ms
    clock.step_ms(400)
    assert schedule.wait_s() == pytest.approx(0.6)
    assert waited(schedule, clock, 1) == [first + 1000]


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_a_clock_set_back_far_does_not_stall(interval_ms: int) -> None:
    """An hour back: ticks go on an interval apart, and none is repeated."""
    clock = Clock()
    schedule = schedule_of(clock, interval_ms)
    first = waited_tick(schedule, clock).timestamp_ms
    clock.step_ms(-HOUR_MS)
    assert schedule.wait_s() == pytest.approx(interval_ms / 1000)
    assert waited(schedule, clock, 5) == [first + n * interval_ms for n in range(1, 6)]


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_a_leap_of_the_monotonic_clock_changes_nothing(interval_ms: int) -> None:
    """A day forward on that clock only: ticks follow the wall clock."""
    clock = Clock()
    schedule = schedule_of(clock, interval_ms)
    first = waited_tick(schedule, clock).timestamp_ms
    clock.pass_ms(interval_ms / 4)
    clock.monotonic += 24 * HOUR_MS * MS
    assert taken(schedule) is None
    assert schedule.wait_s() == pytest.approx(interval_ms * 3 / 4 / 1000)
    assert waited(schedule, clock, 3) == [first + n * interval_ms for n in (1, 2, 3)]
    assert clock.wall == (first + 3 * interval_ms) * MS


def test_a_clock_that_catches_up_is_followed_again() -> None:
    """An hour back and forward again: no tick is missed."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    first = waited_tick(schedule, clock).timestamp_ms
    clock.step_ms(-HOUR_MS)
    assert waited(schedule, clock, 2) == [first + 1000, first + 2000]
    clock.step_ms(HOUR_MS)
    assert waited(schedule, clock, 2) == [first + 3000, first + 4000]
    assert clock.wall == (first + 4000) * MS


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_a_small_step_back_is_followed(interval_ms: int) -> None:
    """The next tick comes that much later, at its new time."""
    clock = Clock()
    schedule = schedule_of(clock, interval_ms)
    first = waited_tick(schedule, clock).timestamp_ms
    clock.step_ms(-interval_ms * 0.4)
    assert schedule.wait_s() == pytest.approx(interval_ms * 1.4 / 1000)
    assert waited(schedule, clock, 2) == [first + interval_ms, first + 2 * interval_ms]
    assert clock.wall == (first + 2 * interval_ms) * MS


def test_small_steps_back_do_not_add_up_to_a_long_wait() -> None:
    """However often the clock is set back a little, a tick comes within 1.5 intervals."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    first = waited_tick(schedule, clock).timestamp_ms
    for _ in range(5):
        clock.step_ms(-400)
        assert schedule.wait_s() <= 1.5
    assert waited(schedule, clock, 1) == [first + 1000]


@pytest.mark.parametrize("interval_ms", INTERVALS_MS)
def test_a_pause_between_the_two_clocks_shifts_nothing(interval_ms: int) -> None:
    """A process that was stopped between reading the two clocks keeps the right time."""
    clock = Clock()
    schedule = schedule_of(clock, interval_ms)
    waited_tick(schedule, clock)
    for pause in (0.3, 0.6, 0.9):
        clock.pause_ns = int(interval_ms * pause) * MS
        schedule.wait_s()
        taken(schedule)
        wait_ms = first_after(clock.wall // MS, interval_ms) - clock.wall / MS
        assert schedule.wait_s() == pytest.approx(wait_ms / 1000)


@pytest.mark.parametrize("lead_ms", [0, 1, 200, 499, 501, 1000, 7000, HOUR_MS])
def test_a_tick_of_an_earlier_collector_is_not_repeated(lead_ms: int) -> None:
    """Even if the clock was set back, a little or a lot, while no collector ran."""
    after_ms = first_after(START_MS, 1000)
    clock = Clock(wall=(after_ms - lead_ms) * MS)
    schedule = schedule_of(clock, 1000, after_ms)
    assert schedule.wait_s() <= 1.5
    assert waited(schedule, clock, 3) == [after_ms + n * 1000 for n in (1, 2, 3)]


def test_a_collector_that_starts_late_begins_with_the_next_tick() -> None:
    """Ticks that were missed meanwhile are not made up for."""
    clock = Clock()
    schedule = schedule_of(clock, 1000, START_MS - HOUR_MS)
    assert waited(schedule, clock, 1) == [first_after(START_MS, 1000)]


def test_a_first_tick_that_is_too_near_is_skipped() -> None:
    """No tick is due before the end of the priming time."""
    clock = Clock(wall=(1_800_000_000_950) * MS)
    schedule = schedule_of(clock, 1000)
    schedule.skip_until(0.1)
    assert waited(schedule, clock, 2) == [1_800_000_002_000, 1_800_000_003_000]


def test_a_first_tick_that_is_far_enough_is_not_skipped() -> None:
    """A tick at the very end of the priming time is kept."""
    clock = Clock(wall=(1_800_000_000_900) * MS)
    schedule = schedule_of(clock, 1000)
    schedule.skip_until(0.1)
    assert waited(schedule, clock, 1) == [1_800_000_001_000]


@pytest.mark.parametrize(("old_ms", "new_ms"), [(100, 200), (200, 100), (1000, 300), (33, 10)])
def test_a_changed_interval_has_its_first_tick_after_now(old_ms: int, new_ms: int) -> None:
    """No tick of either interval is missed around the change, and none is repeated."""
    clock = Clock()
    schedule = schedule_of(clock, old_ms)
    last = waited(schedule, clock, 3)[-1]
    clock.pass_ms(old_ms * 0.6)
    now_ms = clock.wall // MS
    assert schedule.change((new_ms,), last) == now_ms
    first = first_after(now_ms, new_ms)
    assert waited(schedule, clock, 3) == [first, first + new_ms, first + 2 * new_ms]


def test_a_tick_that_fell_due_just_before_a_change_is_not_missed() -> None:
    """If it is also a tick of the new interval, it is its first. Otherwise it does not count."""
    for new_ms, first_ms in ((100, 1_800_000_002_000), (300, 1_800_000_002_100)):
        clock = Clock(wall=1_800_000_001_500 * MS)
        schedule = schedule_of(clock, 1000)
        clock.pass_ms(510)
        assert schedule.change((new_ms,), 0) == 1_800_000_001_999
        clock.pass_ns(round(schedule.wait_s() * 1e9))
        assert taken(schedule) == Tick(first_ms, new_ms)


def test_a_change_to_a_long_interval_waits_for_its_tick() -> None:
    """A multiple of the new interval, not an interval from now."""
    clock = Clock()
    schedule = schedule_of(clock, 10)
    schedule.change((HOUR_MS,), waited(schedule, clock, 1)[-1])
    assert waited(schedule, clock, 1) == [first_after(START_MS, HOUR_MS)]


def test_a_change_after_a_small_step_back_repeats_no_tick() -> None:
    """A step of less than half the old interval, but many new ones: times increase, no stall."""
    clock = Clock()
    schedule = schedule_of(clock, 300_000)
    last = waited(schedule, clock, 1)[-1]
    clock.step_ms(-100_000)
    assert schedule.change((100,), last) == last
    assert schedule.wait_s() <= 0.15
    assert waited(schedule, clock, 3) == [last + 100, last + 200, last + 300]


def test_a_change_after_a_small_step_back_is_not_before_the_last_change() -> None:
    """Ticks that were counted up to one boundary are not due again after another."""
    clock = Clock(wall=1_800_000_000_000 * MS)
    schedule = schedule_of(clock, 2)
    clock.step_ms(1)
    assert schedule.change((1,), 0) == 1_800_000_000_001
    clock.step_ms(-0.5)
    assert schedule.change((1,), 0) == 1_800_000_000_001
    assert waited(schedule, clock, 2) == [1_800_000_000_002, 1_800_000_000_003]


def test_a_change_while_the_schedule_runs_ahead_stays_ahead() -> None:
    """After an hour back, ticks go on from the newest one."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    last = waited(schedule, clock, 2)[-1]
    clock.step_ms(-HOUR_MS)
    schedule.change((100,), last)
    assert waited(schedule, clock, 2) == [last + 100, last + 200]
    assert clock.wall == (last + 200 - HOUR_MS) * MS


def test_a_change_does_not_shorten_the_priming_time() -> None:
    """It applies to the first tick of the new interval too."""
    clock = Clock(wall=1_800_000_000_950 * MS)
    schedule = schedule_of(clock, 1000)
    schedule.skip_until(0.1)
    schedule.change((10,), 0)
    assert waited(schedule, clock, 2) == [1_800_000_001_050, 1_800_000_001_060]


#: In intervals: the length of a wait, and the step of the wall clock.
WAITS = st.floats(0, 3) | st.floats(0, 1e-3)
STEPS = st.floats(-0.6, 0.6) | st.floats(-50, 50) | st.just(0.0)


@settings(quick, max_examples=300)
@given(
    interval_ms=st.sampled_from(INTERVALS_MS) | st.integers(1, 10**6),
    start_ms=st.integers(10**12, 2 * 10**12),
    after=st.floats(-2, 2),
    actions=st.lists(st.tuples(WAITS, STEPS, st.floats(0, 1)), max_size=30),
)
def test_whatever_the_clock_does_ticks_increase_and_waits_are_short(
    interval_ms: int, start_ms: int, after: float, actions: list[tuple[float, float, float]]
) -> None:
    """Ticks are multiples of the interval, taken or counted; waits are at most 1.5 intervals."""
    clock = Clock(wall=start_ms * MS)
    after_ms = start_ms + int(after * interval_ms)
    schedule = schedule_of(clock, interval_ms, after_ms)
    ticks: list[Tick] = []
    for wait, step, pause in actions:
        clock.pass_ms(wait * interval_ms)
        clock.step_ms(step * interval_ms)
        clock.pause_ns = int(pause * interval_ms * MS)
        assert schedule.wait_s() <= 1.5 * interval_ms / 1000
        clock.pause_ns = 0
        tick = taken(schedule)
        ticks += [tick] if tick else []
        assert schedule.wait_s() <= 1.5 * interval_ms / 1000
    ticks.append(waited_tick(schedule, clock))
    assert ticks[0].timestamp_ms > after_ms
    assert all(tick.timestamp_ms % interval_ms == 0 for tick in ticks)
    assert all((tick.missed > 0) == (tick.reason is not None) for tick in ticks)
    for before, tick in pairwise(ticks):
        assert tick.timestamp_ms - before.timestamp_ms == (tick.missed + 1) * interval_ms


@settings(quick, max_examples=300)
@given(
    start_ms=st.integers(10**12, 2 * 10**12),
    actions=st.lists(
        st.tuples(st.integers(1, 3000), WAITS, STEPS | st.just(0.0), st.booleans()), max_size=30
    ),
)
def test_whatever_the_clock_does_a_changed_interval_loses_and_repeats_no_tick(
    start_ms: int, actions: list[tuple[int, float, float, bool]]
) -> None:
    """Each tick of the interval in force at its time is taken or counted once, in order."""
    clock = Clock(wall=start_ms * MS)
    schedule = schedule_of(clock, 1000)
    newest = interval = boundary = 0
    for interval_ms, wait, step, late in actions:
        interval = interval or 1000
        clock.pass_ms(wait * interval)
        clock.step_ms(step * interval)
        tick = None if late else taken(schedule)
        if tick is not None:
            counted_from = max(newest, boundary)
            if newest:
                assert tick.missed == (tick.timestamp_ms - 1) // interval - counted_from // interval
            assert newest < tick.timestamp_ms
            assert tick.timestamp_ms % interval == 0
            newest = tick.timestamp_ms
        before, boundary = boundary, schedule.change((interval_ms,), newest)
        assert boundary >= newest
        if newest and newest >= before:
            # The old interval has no tick between the newest one and the boundary.
            assert boundary // interval == newest // interval
        interval = interval_ms
        assert schedule.wait_s() <= 1.5 * interval / 1000


def times_of(schedule: Schedule, clock: Clock, takes: int) -> list[list[tuple[int, int]]]:
    """Return the ticks of each of the next wake-ups: time after the start, and interval."""
    found = []
    for _ in range(takes):
        clock.pass_ns(round(schedule.wait_s() * 1e9))
        ticks = schedule.take()
        assert not any(tick.missed for tick in ticks)
        found.append([(t.timestamp_ms - 1_800_000_000_000, t.interval_ms) for t in ticks])
    return found


def test_one_wake_up_returns_all_ticks_that_are_due() -> None:
    """Intervals that are multiples of each other need no wake-ups of their own."""
    clock = Clock(wall=1_800_000_000_000 * MS)
    schedule = Schedule((1000, 3000), clock.wall_ns, clock.monotonic_ns)
    assert times_of(schedule, clock, 4) == [
        [(1000, 1000)],
        [(2000, 1000)],
        [(3000, 1000), (3000, 3000)],
        [(4000, 1000)],
    ]


def test_each_interval_has_its_own_ticks() -> None:
    """Even if none is a multiple of the other."""
    clock = Clock(wall=1_800_000_000_000 * MS)
    schedule = Schedule((300, 500), clock.wall_ns, clock.monotonic_ns)
    found = [tick for wake_up in times_of(schedule, clock, 7) for tick in wake_up]
    assert found == [
        (300, 300), (500, 500), (600, 300), (900, 300), (1000, 500), (1200, 300),
        (1500, 300), (1500, 500),
    ]  # fmt: skip


def test_an_overrun_misses_no_tick_of_a_long_interval() -> None:
    """The short one misses some. The long one has its tick, late, and times still increase."""
    clock = Clock(wall=1_800_000_059_500 * MS)
    schedule = Schedule((100, 60_000), clock.wall_ns, clock.monotonic_ns)
    clock.pass_ms(750)
    assert schedule.take() == [
        Tick(1_800_000_060_000, 60_000),
        Tick(1_800_000_060_200, 100, 6, Reason.LATE),
    ]


def test_a_far_first_tick_is_not_waited_for() -> None:
    """Long intervals have an extra tick at the end of the priming time; then all is as usual."""
    clock = Clock(wall=1_800_000_000_950 * MS)
    schedule = Schedule((1000, 60_000, 300_000), clock.wall_ns, clock.monotonic_ns)
    schedule.skip_until(0.1, 10)
    assert times_of(schedule, clock, 3) == [
        [(1050, 60_000), (1050, 300_000)],
        [(2000, 1000)],
        [(3000, 1000)],
    ]
    clock.pass_ms(56_500)
    assert [(t.timestamp_ms, t.interval_ms, t.missed) for t in schedule.take()] == [
        (1_800_000_059_000, 1000, 55),
    ]
    assert times_of(schedule, clock, 1) == [[(60_000, 1000), (60_000, 60_000)]]


def test_a_near_first_tick_is_waited_for() -> None:
    """There is no extra tick before it."""
    clock = Clock(wall=1_800_000_052_000 * MS)
    schedule = schedule_of(clock, 60_000)
    schedule.skip_until(0.1, 10)
    assert waited(schedule, clock, 1) == [1_800_000_060_000]


@pytest.mark.parametrize(("new_ms", "first_ms"), [(300_000, 950), (100, 1000)])
def test_a_change_before_the_first_tick_keeps_the_longest_wait(new_ms: int, first_ms: int) -> None:
    """A change of the interval at the start does not delay the first poll."""
    clock = Clock(wall=1_800_000_000_850 * MS)
    schedule = schedule_of(clock, 60_000)
    schedule.skip_until(0.1, 10)
    assert schedule.change((new_ms,), 0) == 1_800_000_000_850
    assert waited(schedule, clock, 1) == [1_800_000_000_000 + first_ms]


def test_a_change_after_the_priming_time_makes_no_tick_in_the_past() -> None:
    """The first tick is after the boundary, however late the change is."""
    clock = Clock(wall=1_800_000_052_000 * MS)
    schedule = schedule_of(clock, 60_000)
    schedule.skip_until(0.1, 10)
    clock.pass_ms(5000)
    assert schedule.change((300_000,), 0) == 1_800_000_057_000
    assert waited(schedule, clock, 2) == [1_800_000_057_001, 1_800_000_300_000]


@settings(quick, max_examples=200)
@given(
    intervals_ms=st.sets(st.integers(1, 5000), min_size=2, max_size=4),
    start_ms=st.integers(10**12, 2 * 10**12),
    actions=st.lists(st.tuples(WAITS, STEPS), max_size=30),
)
def test_whatever_the_clock_does_the_ticks_of_all_intervals_are_in_order(
    intervals_ms: set[int], start_ms: int, actions: list[tuple[float, float]]
) -> None:
    """Times never go back, and each tick of each interval is taken once or counted."""
    clock = Clock(wall=start_ms * MS)
    schedule = Schedule(intervals_ms, clock.wall_ns, clock.monotonic_ns)
    ticks: list[Tick] = []
    for wait, step in actions:
        clock.pass_ms(wait * min(intervals_ms))
        clock.step_ms(step * min(intervals_ms))
        ticks += schedule.take()
        assert schedule.wait_s() <= 1.5 * min(intervals_ms) / 1000
    for earlier, later in pairwise(ticks):
        assert earlier.timestamp_ms <= later.timestamp_ms
    for interval_ms in intervals_ms:
        own = [tick for tick in ticks if tick.interval_ms == interval_ms]
        for earlier, later in pairwise(own):
            assert later.timestamp_ms - earlier.timestamp_ms == (later.missed + 1) * interval_ms


def test_a_change_after_the_first_tick_makes_no_tick_off_the_grid() -> None:
    """Only a start polls at once where the first tick is far away. A reload waits for it, however far."""
    clock = Clock(wall=1_800_000_000_950 * MS)
    schedule = schedule_of(clock, 1000)
    schedule.skip_until(0.1, 10)
    (first,) = waited(schedule, clock, 1)
    assert schedule.change((1000, 300_000), first) == first
    made = []
    for _ in range(400):
        clock.pass_ns(round(schedule.wait_s() * 1e9))
        made += schedule.take()
    assert all(tick.timestamp_ms % tick.interval_ms == 0 for tick in made)
    assert [tick.timestamp_ms for tick in made if tick.interval_ms == 300_000] == [
        1_800_000_300_000
    ]


def test_a_change_excuses_no_late_tick_by_an_earlier_step_of_the_clock() -> None:
    """The clock was set before the change, so it is not why a tick after the change was missed."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    waited(schedule, clock, 1)
    clock.step_ms(10_000)
    (leap,) = schedule.take()
    assert leap.reason is Reason.CLOCK
    schedule.change((100,), leap.timestamp_ms)
    waited(schedule, clock, 1)
    clock.pass_ms(1000)
    (late,) = schedule.take()
    assert (late.missed > 0, late.reason) == (True, Reason.LATE)


def test_the_first_late_tick_after_a_change_has_its_own_reason() -> None:
    """Also if no tick of the new interval came before it."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    waited(schedule, clock, 1)
    clock.step_ms(10_000)
    (leap,) = schedule.take()
    schedule.change((100,), leap.timestamp_ms)
    clock.pass_ms(1000)
    (late,) = schedule.take()
    assert (late.missed > 0, late.reason) == (True, Reason.LATE)


def test_two_changes_at_the_same_moment_have_the_same_boundary() -> None:
    """The ticks up to the first boundary are counted, so the second is not before it."""
    clock = Clock()
    schedule = schedule_of(clock, 1000)
    (newest,) = waited(schedule, clock, 1)
    clock.pass_ms(450)
    first = schedule.change((300,), newest)
    clock.step_ms(-40)
    second = schedule.change((1000,), newest)
    assert second == first == newest + 450
