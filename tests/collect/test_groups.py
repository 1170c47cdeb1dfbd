"""Groups of families, each with an interval of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pattoo_mp.collect.poller import Groups
from pattoo_mp.config.families import ORIGINAL
from tests.support.configs import config_in
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_700_000_000_000


def groups_in(home: Path, **more: Any) -> Groups:  # noqa: ANN401 - whatever a setting holds
    """Groups of a configuration."""
    return Groups(ORIGIN, config_in(home, **more), {})


def keys(groups: Groups, interval_ms: int) -> set[str]:
    """What a poll of a group is about."""
    layout, poll = groups.poll(interval_ms, NOW_MS)
    assert (layout.interval_ms, poll.timestamp_ms) == (interval_ms, NOW_MS)
    return {series.key for series in layout.series}


def test_without_intervals_of_their_own_all_families_are_polled_together(home: Path) -> None:
    """In one poll, as the original does."""
    groups = groups_in(home)
    assert groups.intervals_ms == {100}
    assert {"memory_total", "process_count", "cpu_stats_interrupts"} <= keys(groups, 100)


def test_the_polls_of_all_groups_are_those_of_one_group(home: Path) -> None:
    """Each series is in exactly one of them."""
    together = keys(groups_in(home), 100)
    own = {"memory": 200, "network": 200, "processor": 300}
    apart = groups_in(home, intervals=own)
    found = [keys(apart, interval_ms) for interval_ms in (100, 200, 300)]
    assert set.union(*found) == together
    assert sum(map(len, found)) == len(together)


def test_a_family_is_known_to_be_in_its_group(home: Path) -> None:
    """And in no other; one that is off is in none."""
    groups = groups_in(home, families=("agent",), intervals={"agent": 200})
    assert (groups.has("agent", 200), groups.has("agent", 100)) == (True, False)
    groups.change(config_in(home, families_off=ORIGINAL))
    assert not groups.has("memory", 100)
    assert keys(groups, 100) == set()


def test_families_move_between_groups(home: Path) -> None:
    """Into a new one, and back; the others go on."""
    groups = groups_in(home)
    groups.change(config_in(home, intervals={"memory": 200}))
    assert groups.intervals_ms == {100, 200}
    assert "memory_total" in keys(groups, 200) - keys(groups, 100)
    groups.change(config_in(home))
    assert groups.intervals_ms == {100}
    assert "memory_total" in keys(groups, 100)


def test_groups_that_change_places_keep_their_families(home: Path) -> None:
    """Each goes on at the other's interval."""
    groups = groups_in(home, intervals={"memory": 200})
    groups.change(config_in(home, interval_ms=200, intervals={"memory": 100}))
    assert "memory_total" in keys(groups, 100) - keys(groups, 200)


def test_all_that_is_left_out_is_told_together(home: Path) -> None:
    """By whatever group it belongs to."""
    groups = groups_in(
        home,
        families=("batteries", "cgroup", "textfile"),
        intervals={"batteries": 200, "textfile": 300},
    )
    for interval_ms in groups.intervals_ms:
        groups.poll(interval_ms, NOW_MS)
    every = groups_in(home, families=("batteries", "cgroup", "textfile"))
    every.poll(100, NOW_MS)
    assert groups.left_out == every.left_out
    assert "textfile" in groups.left_out  # no directory is set
