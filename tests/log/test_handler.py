"""What a process does for its log, and when."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import log
from pattoo_mp.log.handler import Repeats
from tests.log.records import line
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.log.line import Line

_LOG = logging.getLogger("pattoo_mp.test")


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Leave pytest's logging, and this process's signals, as they were."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers, root.level, logging.raiseExceptions
    signals = {number: signal.getsignal(number) for number in log.CHORES}
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, logging.raiseExceptions = handlers, raising
    root.setLevel(level)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, action in signals.items():
        signal.signal(number, action)


def test_set_up_again_goes_on_with_the_new_settings(tmp_path: Path) -> None:
    """What was counted until then is told first, in the old place."""
    log.set_up(log.LogSettings(tmp_path / "old", "info"), "control")
    for _ in range(3):
        _LOG.info("No room.")
    log.set_up(log.LogSettings(tmp_path / "new", "warning", "json"), "control")
    _LOG.info("no line")
    _LOG.warning("a line")
    assert "(the same 2 times in the last" in (tmp_path / "old").read_text()
    assert '"message": "a line"' in (tmp_path / "new").read_text()
    assert "no line" not in (tmp_path / "new").read_text()


def test_set_up_again_with_the_same_settings_forgets_nothing(tmp_path: Path) -> None:
    """A reload: what came before is still the same again, and is counted on."""
    path = tmp_path / "log"
    for _ in range(3):
        log.set_up(log.LogSettings(path), "control")
        _LOG.info("No room.")
    assert len(path.read_text().splitlines()) == 1
    path.rename(tmp_path / "old")
    log.set_up(log.LogSettings(path), "control")
    assert path.exists()


def test_what_could_not_be_written_is_told_after_other_settings_too(tmp_path: Path) -> None:
    """A reload on a full disk."""
    path = tmp_path / "log"
    path.mkdir()
    log.set_up(log.LogSettings(path), "control")
    for text in ("one", "two"):
        _LOG.info(text)
    log.set_up(log.LogSettings(path, "warning"), "control")
    path.rmdir()
    _LOG.warning("three")
    told, three = path.read_text().splitlines()
    assert told.endswith("2 lines could not be written here: Is a directory.")
    assert three.endswith("three")


def test_an_idle_process_is_woken_no_more_often_than_every_five_seconds(tmp_path: Path) -> None:
    """However many counts are due, and however soon; not at all if there are none."""
    log.set_up(log.LogSettings(tmp_path / "log", repeats_s=(3.0,)), "control")
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    for _ in range(2):
        _LOG.info("No room.")
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3
    begun = time.monotonic()
    log.tend()
    for text in ("No room.", "No answer.", "No answer."):
        _LOG.info(text)
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    assert begun + 4.9 - time.monotonic() < left <= 5


def test_at_level_debug_nothing_is_collapsed(tmp_path: Path) -> None:
    """Who asks for everything gets everything."""
    path = tmp_path / "log"
    log.set_up(log.LogSettings(path, "debug"), "control")
    for _ in range(3):
        _LOG.warning("No room.")
    assert len(path.read_text().splitlines()) == 3


def test_a_fork_does_not_tell_what_its_parent_will(tmp_path: Path) -> None:
    """A worker sets up a log of its own; the count is told once."""
    path = tmp_path / "log"
    log.set_up(log.LogSettings(path), "control")
    for _ in range(3):
        _LOG.info("No room.")
    pid = os.fork()
    if pid == 0:
        log.set_up(log.LogSettings(path), "collector")
        logging.shutdown()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(path.read_text().splitlines()) == 1
    logging.getLogger().handlers[0].close()
    assert len(path.read_text().splitlines()) == 2


def test_lost_lines_are_told_though_nothing_else_is_logged(tmp_path: Path) -> None:
    """As soon as it is tended to after the trouble."""
    path = tmp_path / "log"
    path.mkdir()
    log.set_up(log.LogSettings(path), "control")
    _LOG.info("lost")
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
    path.rmdir()
    log.tend()
    assert "1 line could not be written here" in wait_for(path.read_text)


# What goes out of lines that come again and again.


@dataclass
class Clocked:
    """Repeats with a clock of the test's own, and all that went out."""

    now: float = 0.0
    out: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make it."""
        self.repeats = Repeats(monotonic=lambda: self.now, wall=lambda: 1e9 + self.now)

    def say(self, what: Line) -> None:
        """Let a line come."""
        self.out += self.repeats.take(what)

    def go_on(self, seconds: float) -> int:
        """Let time pass, and tend to it when it asks for that; how often it did."""
        wakes, until = 0, self.now + seconds
        while (at := self.repeats.next_at) is not None and at <= until:
            self.now = at
            self.out += self.repeats.due()
            wakes += 1
        self.now = until
        return wakes


def test_the_first_goes_out_at_once_and_the_count_when_its_time_has_come() -> None:
    """Though nothing else is logged."""
    log = Clocked()
    for _ in range(241):
        log.say(line("No room."))
    assert [one.message for one in log.out] == ["No room."]
    log.go_on(5)
    assert log.out[1:] == [line("No room.", created=1e9 + 5, repeated=240, within_s=5)]


def test_counts_can_be_asked_for_before_their_time() -> None:
    """What they complain of is over. The line is remembered: if it comes again soon, it is counted."""
    log = Clocked()
    for _ in range(4):
        log.say(line("No answer."))
    log.now = 2
    assert log.repeats.counts() == [line("No answer.", created=1e9 + 2, repeated=3, within_s=2)]
    assert log.repeats.next_at is None
    log.say(line("No answer."))
    assert len(log.out) == 1


def test_what_goes_on_is_told_ever_more_rarely_and_counted_once() -> None:
    """A line every 15 s for a day: about one an hour, and all of them add up."""
    log = Clocked()
    came = 24 * 240
    for _ in range(came):
        log.say(line("No answer."))
        log.go_on(15)
    log.out += log.repeats.rest()
    assert sum(one.repeated or 1 for one in log.out) == came
    assert len(log.out) < 40
    assert "the same 240 times in the last hour" in log.out[-2].message


def test_what_was_quiet_for_a_while_is_news() -> None:
    """The same after a day goes out at once."""
    log = Clocked()
    log.say(line("No answer."))
    assert log.go_on(86_400) == 0
    log.say(line("No answer."))
    assert [one.message for one in log.out] == ["No answer."] * 2


def test_other_levels_texts_and_tracebacks_are_not_the_same() -> None:
    """Each of them goes out."""
    log = Clocked()
    for other in (line("a"), line("b"), line("a", logging.ERROR), line("a", traceback="t")):
        log.say(other)
    assert len(log.out) == 4


def test_a_flood_of_different_lines_loses_none_and_takes_bounded_memory() -> None:
    """A thousand kinds in any order: what is pushed out of memory is told first."""
    log = Clocked()
    draw = random.Random(1)
    came = [f"kind {draw.randrange(1000)}" for _ in range(20_000)]
    for text in came:
        log.say(line(text))
        log.go_on(0.01)
    assert len(log.repeats._known) <= 64
    log.out += log.repeats.rest()
    assert sorted(came) == sorted(t for o in log.out for t in [o.text] * (o.repeated or 1))
