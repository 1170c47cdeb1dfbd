"""The family of the operator's own programs: which answers a poll takes, and what it says of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.collect.commands.answer import Answer
from pattoo_mp.collect.families import commands as family
from pattoo_mp.collect.families._prometheus import Identity
from pattoo_mp.collect.families.commands import MAX_SERIES, Commands
from pattoo_mp.collect.poller import Poller
from pattoo_mp.model import FLOAT
from pattoo_mp.util.process import clock
from tests.support.hosts import again, polled
from tests.support.plugins import command_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    import pytest

    from pattoo_mp.config.values import Command


class Given:
    """Answers that a test gives, as `Latest` has those of programs."""

    def __init__(self, *commands: Command) -> None:
        self.commands = commands
        self.answers: dict[str, Answer] = {}
        self.trouble = ""

    def poller(self) -> Poller:
        """A poller of them."""
        return Poller((Commands(self),), ORIGIN, 1000)  # type: ignore[arg-type]

    def answer(self, name: str, *figures: str, age_s: float = 0.0, why: str = "") -> None:
        """Give an answer of one command, with figures of these names."""
        labels = (("command_name", name),)
        found = tuple((Identity(one, FLOAT, labels), 1.0) for one in figures)
        self.answers = {**self.answers, name: Answer(clock() - age_s, 0.5, 0, found, why)}


A = command_of("/bin/a", interval_s=60.0, timeout_s=10.0)
B = command_of("/bin/b", interval_s=60.0, timeout_s=10.0)


def test_before_the_first_run_has_ended_one_note_names_all() -> None:
    """Their status and duration are series already, without a value: each start has the same layout."""
    poll = again(Given(A, B).poller())
    assert poll.left_out == {"commands new": "no run has ended yet of a, b"}
    assert [series.key for series in poll.series] == ["command_exit_status", "command_duration"] * 2
    assert set(poll.series.values()) == {None}


def test_an_answer_is_sent_until_the_next_one() -> None:
    """With each poll, so that a chart of a short interval has no gaps."""
    given = Given(A)
    given.answer("a", "x", age_s=69.0)
    poller = given.poller()
    assert again(poller).figures["x"] == again(poller).figures["x"] == 1.0
    given.answer("a", "y")
    assert list(again(poller).figures)[2:] == ["y"]


def test_an_answer_that_is_too_old_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run should have ended: the interval and the time limit, and a moment, have passed."""
    given = Given(A)
    given.answer("a", "x", age_s=70.0, why="some reason")
    poller = given.poller()
    assert "x" in again(poller).figures
    at_s = clock()
    monkeypatch.setattr(family, "clock", lambda: at_s + 6.0)
    poll = again(poller)
    assert list(poll.series.values()) == [None, None]
    assert poll.left_out == {
        "commands a": "no run has ended for more than 75 s; the last one: some reason"
    }


def test_the_same_answers_make_no_new_layout() -> None:
    """A layout costs more than a poll."""
    given = Given(A, B)
    given.answer("a", "x", "y")
    poller = given.poller()
    first, _ = poller.poll(1000)
    given.answer("a", "x", "y")
    given.answer("b")
    assert poller.poll(2000)[0] is first


def test_different_series_are_bounded() -> None:
    """Also if they come and go. Status and duration are always sent."""
    given = Given(A)
    given.answer("a", *(f"x{n}" for n in range(MAX_SERIES)))
    poller = given.poller()
    assert len(again(poller).series) == MAX_SERIES + 2
    given.answer("a", "x0", "new")
    poll = again(poller)
    assert list(poll.figures) == ["command_exit_status", "command_duration", "x0"]
    assert list(poll.left_out) == ["commands series"]


def test_a_trouble_of_all_is_told() -> None:
    """Such as the end of the process that runs them."""
    given = Given(A)
    poller = given.poller()
    again(poller)
    given.trouble = "some trouble"
    assert again(poller).left_out["commands"] == "some trouble"


def test_without_commands_the_note_names_the_setting() -> None:
    """So that the operator knows what to set."""
    assert polled("commands").left_out == {
        "commands": "commands is not set; expected the programs to run"
    }
