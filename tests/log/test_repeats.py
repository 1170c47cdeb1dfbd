"""What goes out of lines that come again and again."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pattoo_mp.log.handler import Repeats
from tests.log.records import line

if TYPE_CHECKING:
    from pattoo_mp.log.line import Line


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
