"""Work goes on in another thread where the one that does it hangs."""

from __future__ import annotations

import os
import select
import signal
import threading
from threading import Event
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.timelimit import succession as module
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from tests.support.succeeding import succession
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.timelimit.succession import Succession, WorkerThread

LIMIT_S = 0.2


class Polls:
    """Work of three polls, each of three keys, one of which hangs in the second poll."""

    def __init__(self, threads: Succession) -> None:
        self.threads = threads
        self.answer = Event()
        self.made: list[dict[str, str | Exception]] = []
        self.by: list[int] = []
        self.returned: list[int] = []
        self._limited = TimeLimited("keys", self._question, LIMIT_S, threads)

    def run(self) -> None:
        """Do all of it."""
        self.threads.run(self._work)

    def all_are_well(self) -> bool:
        """Whether nobody is left behind any more."""
        return all(share.is_over() for share in self._limited._hanging.values())

    def _work(self) -> None:
        while len(self.made) < 3:
            answers = self._limited.ask("abc")
            self.made.append(answers)
            self.by.append(threading.get_ident())
        self.returned.append(threading.get_ident())

    def _question(self, key: str) -> str:
        if key == "b" and len(self.made) == 1:
            self.answer.wait(60)
        return key


@pytest.fixture
def polls() -> Iterator[Polls]:
    """They hang until they are let go."""
    with succession() as threads:
        polls = Polls(threads)
        yield polls
        polls.answer.set()


def missing(answers: dict[str, str | Exception]) -> set[str]:
    """Those that gave no answer."""
    return {key for key, answer in answers.items() if isinstance(answer, NoAnswerError)}


def test_one_thread_does_all_of_it_as_long_as_nobody_hangs(polls: Polls) -> None:
    """Which is not the main thread: that one has the signals to see to."""
    polls.answer.set()
    polls.run()
    assert len(set(polls.by)) == 1
    assert threading.get_ident() not in polls.by
    assert [missing(answers) for answers in polls.made] == [set()] * 3


def test_a_successor_goes_on_where_its_predecessor_hangs(polls: Polls) -> None:
    """Nothing is done twice, and who was left behind does nothing more when it is let go."""
    polls.run()
    first, second, third = polls.by
    assert first != second == third
    assert [missing(answers) for answers in polls.made] == [set(), {"b"}, {"b"}]
    polls.answer.set()
    wait_for(polls.all_are_well, what="its return")
    assert len(polls.made) == 3
    assert polls.returned == [second]


def test_what_the_work_raises_is_raised() -> None:
    """In the main thread, whichever thread it was; and the next work has nothing of it."""

    def failing() -> None:
        raise ConnectionResetError

    with succession() as threads:
        with pytest.raises(ConnectionResetError):
            threads.run(failing)
        threads.run(lambda: None)


@pytest.mark.parametrize("whom", ["the process", "the thread that works", "the main thread"])
def test_a_signal_that_asks_to_end_is_seen_by_the_work(whom: str) -> None:
    """Whichever thread the kernel gives it to, and at once."""
    seen: list[bool] = []

    def work() -> None:
        match whom:
            case "the process":
                os.kill(os.getpid(), signal.SIGUSR1)
            case "the thread that works":
                signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            case "the main thread":
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        seen.append(bool(select.select([threads.stopping], [], [], 20)[0]))

    with succession(signals=(signal.SIGUSR1,)) as threads:
        threads.run(work)
    assert seen == [True]


def test_what_a_signal_asks_for_beside_is_done_while_the_work_goes_on() -> None:
    """By the main thread, also where the kernel gave the signal to another, and again and again."""
    done: list[int] = []

    def work() -> None:
        for number in range(1, 6):
            signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
            wait_for(lambda: len(done) == number, what="the chore")  # noqa: B023 - called at once

    chores = {signal.SIGALRM: lambda: done.append(threading.get_ident())}
    with succession(chores=chores) as threads:
        threads.run(work)
    assert done == [threading.get_ident()] * 5


def test_a_hang_that_goes_on_is_succeeded_once(polls: Polls) -> None:
    """However long it lasts before the next question, and whatever the timer does meanwhile."""
    polls.run()
    hanging = polls.threads.current
    for _ in range(3):
        polls.threads._timer.start(0.001)
        polls.threads._relieve()
    assert polls.threads.current is hanging


def test_on_a_host_without_threads_who_hangs_is_waited_for(
    polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the successor that stood ready has gone, too; it is looked for again meanwhile."""
    attempts: list[str] = []

    def none(name: str) -> WorkerThread:
        attempts.append(name)
        if len(attempts) == 3:
            polls.answer.set()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module, "WorkerThread", none)
    monkeypatch.setattr(module, "_NO_THREADS_S", 0.01)
    polls.threads._next = None
    polls.run()
    assert len(attempts) >= 3
    assert len(set(polls.by)) == 1
    assert [missing(answers) for answers in polls.made] == [set()] * 3
