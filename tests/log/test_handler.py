"""Setting up the log, writing counts in time, and collapsing repeated lines."""

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
from pattoo_mp.log.handler import RepeatFilter
from tests.log.records import line
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.log.line import Line

_LOG = logging.getLogger("pattoo_mp.test")


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Restore pytest's logging and this process's signals afterwards."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers, root.level, logging.raiseExceptions
    signals = {number: signal.getsignal(number) for number in log.SIGNAL_ACTIONS}
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, logging.raiseExceptions = handlers, raising
    root.setLevel(level)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, action in signals.items():
        signal.signal(number, action)


def test_set_up_with_new_settings_replaces_the_log(tmp_path: Path) -> None:
    """Counts up to then are written first, to the old file."""
    log.set_up(log.LogSettings(tmp_path / "old", "info"), "control")
    for _ in range(3):
        _LOG.info("No room.")
    log.set_up(log.LogSettings(tmp_path / "new", "warning", "json"), "control")
    _LOG.info("no line")
    _LOG.warning("a line")
    assert "(repeated 2 times in the last" in (tmp_path / "old").read_text()
    assert '"message": "a line"' in (tmp_path / "new").read_text()
    assert "no line" not in (tmp_path / "new").read_text()


def test_set_up_with_the_same_settings_keeps_repetitions(tmp_path: Path) -> None:
    """As at a reload: repetitions stay counted."""
    path = tmp_path / "log"
    for _ in range(3):
        log.set_up(log.LogSettings(path), "control")
        _LOG.info("No room.")
    assert len(path.read_text().splitlines()) == 1
    path.rename(tmp_path / "old")
    log.set_up(log.LogSettings(path), "control")
    assert path.exists()


def test_lost_lines_are_reported_after_new_settings(tmp_path: Path) -> None:
    """As at a reload on a full disk."""
    path = tmp_path / "log"
    path.mkdir()
    log.set_up(log.LogSettings(path), "control")
    for text in ("one", "two"):
        _LOG.info(text)
    log.set_up(log.LogSettings(path, "warning"), "control")
    path.rmdir()
    _LOG.warning("three")
    report, three = path.read_text().splitlines()
    assert report.endswith("2 lines could not be written here: Is a directory.")
    assert three.endswith("three")


def test_an_idle_process_is_woken_at_most_every_five_seconds(tmp_path: Path) -> None:
    """However many counts are due. Without counts it is not woken at all."""
    log.set_up(log.LogSettings(tmp_path / "log", repeats_s=(3.0,)), "control")
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    for _ in range(2):
        _LOG.info("No room.")
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3
    begun = time.monotonic()
    log.write_due()
    for text in ("No room.", "No answer.", "No answer."):
        _LOG.info(text)
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    assert begun + 4.9 - time.monotonic() < left <= 5


def test_at_level_debug_every_line_is_written(tmp_path: Path) -> None:
    """Every line is written."""
    path = tmp_path / "log"
    log.set_up(log.LogSettings(path, "debug"), "control")
    for _ in range(3):
        _LOG.warning("No room.")
    assert len(path.read_text().splitlines()) == 3


def test_a_fork_does_not_write_its_parents_counts(tmp_path: Path) -> None:
    """A worker sets up its own log; the count is written once."""
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


def test_lost_lines_are_reported_even_if_nothing_else_is_logged(tmp_path: Path) -> None:
    """At the next `write_due` after the trouble."""
    path = tmp_path / "log"
    path.mkdir()
    log.set_up(log.LogSettings(path), "control")
    _LOG.info("lost")
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
    path.rmdir()
    log.write_due()
    assert "1 line could not be written here" in wait_for(path.read_text)


# --- repeated lines


@dataclass
class Clocked:
    """A `RepeatFilter` with a fake clock, and the lines it let through."""

    now: float = 0.0
    out: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the filter."""
        self.repeats = RepeatFilter(monotonic=lambda: self.now, wall=lambda: 1e9 + self.now)

    def say(self, what: Line) -> None:
        """Log a line."""
        self.out += self.repeats.take(what)

    def go_on(self, seconds: float) -> int:
        """Let time pass and write counts as they become due; return how often that was."""
        wakes, until = 0, self.now + seconds
        while (at := self.repeats.next_at) is not None and at <= until:
            self.now = at
            self.out += self.repeats.due()
            wakes += 1
        self.now = until
        return wakes


def test_the_first_line_is_written_at_once_and_the_count_when_due() -> None:
    """The count is due even if nothing else is logged."""
    log = Clocked()
    for _ in range(241):
        log.say(line("No room."))
    assert [one.message for one in log.out] == ["No room."]
    log.go_on(5)
    assert log.out[1:] == [line("No room.", created=1e9 + 5, repeated=240, within_s=5)]


def test_counts_can_be_written_early() -> None:
    """The line stays remembered: a repetition soon afterwards is counted."""
    log = Clocked()
    for _ in range(4):
        log.say(line("No answer."))
    log.now = 2
    assert log.repeats.counts() == [line("No answer.", created=1e9 + 2, repeated=3, within_s=2)]
    assert log.repeats.next_at is None
    log.say(line("No answer."))
    assert len(log.out) == 1


def test_lasting_repetitions_are_counted_less_and_less_often() -> None:
    """A line every 15 s for a day gives about one an hour, and the counts add up."""
    log = Clocked()
    came = 24 * 240
    for _ in range(came):
        log.say(line("No answer."))
        log.go_on(15)
    log.out += log.repeats.clear()
    assert sum(one.repeated or 1 for one in log.out) == came
    assert len(log.out) < 40
    assert "repeated 240 times in the last hour" in log.out[-2].message


def test_a_line_is_new_again_after_a_quiet_time() -> None:
    """The same line a day later is written at once."""
    log = Clocked()
    log.say(line("No answer."))
    assert log.go_on(86_400) == 0
    log.say(line("No answer."))
    assert [one.message for one in log.out] == ["No answer."] * 2


def test_other_levels_texts_and_tracebacks_are_no_repetitions() -> None:
    """Each of them is written."""
    log = Clocked()
    for other in (line("a"), line("b"), line("a", logging.ERROR), line("a", traceback="t")):
        log.say(other)
    assert len(log.out) == 4


def test_many_different_lines_take_bounded_memory_and_lose_none() -> None:
    """A thousand kinds in random order: the count of a forgotten line is written first."""
    log = Clocked()
    draw = random.Random(1)
    came = [f"kind {draw.randrange(1000)}" for _ in range(20_000)]
    for text in came:
        log.say(line(text))
        log.go_on(0.01)
    assert len(log.repeats._known) <= 64
    log.out += log.repeats.clear()
    assert sorted(came) == sorted(t for o in log.out for t in [o.text] * (o.repeated or 1))
