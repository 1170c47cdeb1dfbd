"""What changes all the time is logged once a minute."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.changes import LayoutLog, LeftOutLog, shortened
from pattoo_mp.model import INTEGER, Layout, Series
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.model import Pair

_LOG = logging.getLogger("changes")


class Clock:
    """A clock that a test sets (s)."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(caplog: pytest.LogCaptureFixture) -> Clock:
    """One for a log whose lines are captured."""
    caplog.set_level(logging.INFO, "changes")
    return Clock()


def layout(*names: str) -> Layout:
    """One with a series for each device."""
    return Layout(ORIGIN, 1000, tuple(Series("x", INTEGER, (("disk", n),)) for n in names))


def names(*devices: str) -> Callable[[], set[Pair]]:
    """What gives the metadata of these devices."""
    return lambda: {("disk", name) for name in devices}


def test_a_host_that_changes_each_second_has_a_line_each_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first change is told at once, those of the minute after it together."""
    log = LayoutLog(_LOG, clock)
    log.changed(layout("sda", "sdb"), set)
    before = "sdb"
    for second in range(121):
        clock.now += 1
        name = f"x{second}"
        log.changed(layout("sda", name), names(name, before))
        log.log_if_due()
        before = name
    first, change, minute, next_minute = caplog.messages
    assert first == "A poll has 2 datapoints."
    assert change == "A poll has 2 datapoints; new: disk x0; gone: disk sdb."
    assert minute.startswith(
        "A poll has 2 datapoints; new: disk x60; gone: disk x0; came and went: disk x1, "
    )
    assert minute.endswith(" and 39 more; 60 changes in the last minute.")
    assert "new: disk x120; gone: disk x60; came and went: disk x100, " in next_minute


def test_the_last_changes_are_told_when_their_minute_is_over(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """No further change is needed for it; and a change long after is told at once again."""
    log = LayoutLog(_LOG, clock)
    log.changed(layout("a"), set)
    log.changed(layout("a", "b"), set)
    log.changed(layout("a", "c"), set)
    caplog.clear()
    clock.now += 59
    log.log_if_due()
    assert caplog.messages == []
    clock.now += 1
    log.log_if_due()
    assert caplog.messages == ["A poll has 2 datapoints; new: disk c; gone: disk b."]
    clock.now += 60
    log.changed(layout("a"), set)
    assert caplog.messages[1:] == ["A poll has 1 datapoint; gone: disk c."]


def test_names_that_wait_for_their_line_are_bounded(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A million devices in a minute fill no memory."""
    log = LayoutLog(_LOG, clock)
    log.changed(layout("a"), set)
    log.changed(layout("b"), set)
    for number in range(10_000):
        log.changed(layout(f"x{number}"), names(f"x{number}"))
    clock.now += 60
    log.log_if_due()
    assert "and 980 more; 10000 changes" in caplog.messages[-1]


def test_what_is_left_out_has_few_lines_a_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first twenty; then how many more there were."""
    log = LeftOutLog(_LOG, clock)
    log.changed({}, {f"/mnt/{n}": "gone" for n in range(3000)})
    assert len(caplog.messages) == 20
    clock.now += 61
    log.log_if_due()
    assert caplog.messages[20:] == [
        "2980 more sources or devices were left out of the polls, or were back, in the last minute; "
        "--status lists what is left out."
    ]
    log.changed({"/mnt/1": "gone"}, {})
    assert caplog.messages[21:] == ["/mnt/1 is no longer left out."]


def test_the_status_lists_some_of_very_many_and_counts_the_rest() -> None:
    """A message of the collector is as large as that at each change."""
    few = {f"/mnt/{n}": "gone" for n in range(100)}
    assert shortened(few) == few
    many = {f"/mnt/{n}": "gone" for n in range(3000)}
    assert shortened(many) == {
        **few,
        "others": "2900 more sources or devices; --once lists all of them",
    }
