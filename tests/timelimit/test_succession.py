"""Work goes on in another thread when the one that does it hangs."""

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
    """Three polls of three keys each. One key hangs in the second poll."""

    def __init__(self, threads: Succession) -> None:
        self.threads = threads
        self.answer = Event()
        self.made: list[dict[str, str | Exception]] = []
        self.by: list[int] = []
        self.returned: list[int] = []
        self._limited = TimeLimited("keys", self._query, LIMIT_S, threads)

    def run(self) -> None:
        """Make all three polls."""
        self.threads.run(self._work)

    def all_have_answered(self) -> bool:
        """Whether no thread hangs any more."""
        return all(share.is_done() for share in self._limited._hanging.values())

    def _work(self) -> None:
        while len(self.made) < 3:
            answers = self._limited.ask("abc")
            self.made.append(answers)
            self.by.append(threading.get_ident())
        self.returned.append(threading.get_ident())

    def _query(self, key: str) -> str:
        if key == "b" and len(self.made) == 1:
            self.answer.wait(60)
        return key


@pytest.fixture
def polls() -> Iterator[Polls]:
    """Polls that hang until the test ends at the latest."""
    with succession() as threads:
        polls = Polls(threads)
        yield polls
        polls.answer.set()


def missing(answers: dict[str, str | Exception]) -> set[str]:
    """Return the keys without an answer."""
    return {key for key, answer in answers.items() if isinstance(answer, NoAnswerError)}


def test_one_thread_does_all_the_work_while_nothing_hangs(polls: Polls) -> None:
    """It is not the main thread, which handles signals."""
    polls.answer.set()
    polls.run()
    assert len(set(polls.by)) == 1
    assert threading.get_ident() not in polls.by
    assert [missing(answers) for answers in polls.made] == [set()] * 3


def test_a_successor_continues_when_its_predecessor_hangs(polls: Polls) -> None:
    """Nothing is done twice. The thread that was left behind does nothing more once it is free."""
    polls.run()
    first, second, third = polls.by
    assert first != second == third
    assert [missing(answers) for answers in polls.made] == [set(), {"b"}, {"b"}]
    polls.answer.set()
    wait_for(polls.all_have_answered, what="the late answer")
    assert len(polls.made) == 3
    assert polls.returned == [second]


def test_an_error_of_the_work_is_raised() -> None:
    """In the main thread, whichever thread raised it. It does not affect the next work."""

    def failing() -> None:
        raise ConnectionResetError

    with succession() as threads:
        with pytest.raises(ConnectionResetError):
            threads.run(failing)
        threads.run(lambda: None)


@pytest.mark.parametrize("target", ["the process", "the worker thread", "the main thread"])
def test_the_work_sees_a_signal_to_end(target: str) -> None:
    """At once, whichever thread the kernel delivers it to."""
    seen: list[bool] = []

    def work() -> None:
        match target:
            case "the process":
                os.kill(os.getpid(), signal.SIGUSR1)
            case "the worker thread":
                signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            case "the main thread":
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        seen.append(bool(select.select([threads.stopping], [], [], 20)[0]))

    with succession(signals=(signal.SIGUSR1,)) as threads:
        threads.run(work)
    assert seen == [True]


def test_the_chore_of_a_signal_is_done_while_the_work_goes_on() -> None:
    """By the main thread, each time, even if the kernel delivers the signal to another thread."""
    done: list[int] = []

    def work() -> None:
        for number in range(1, 6):
            signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
            wait_for(lambda: len(done) == number, what="the chore")  # noqa: B023 - called at once

    chores = {signal.SIGALRM: lambda: done.append(threading.get_ident())}
    with succession(chores=chores) as threads:
        threads.run(work)
    assert done == [threading.get_ident()] * 5


def test_a_hanging_thread_is_replaced_once(polls: Polls) -> None:
    """However long it hangs before the next query, and however often the timer expires."""
    polls.run()
    hanging = polls.threads.current
    for _ in range(3):
        polls.threads._timer.start(0.001)
        polls.threads._on_timer()
    assert polls.threads.current is hanging


def test_without_a_spare_thread_the_hanging_one_is_waited_for(
    polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the spare successor is used up, too. Meanwhile each expiration tries again."""
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


def test_an_expiration_of_an_earlier_query_replaces_nobody() -> None:
    """The query was answered just in time, and the next one has begun: that one is not late."""
    asked: list[bool] = []

    def leave_behind() -> bool:
        asked.append(True)
        return True

    with succession() as threads:
        before = threads.current
        threads.watch(60, leave_behind)
        threads._on_timer()
        assert asked == []
        assert threads.current is before
        threads.unwatch()
        threads._on_timer()
        assert asked == []
        threads.watch(0, leave_behind)
        threads._work = lambda: None
        threads._on_timer()
        assert asked == [True]
        assert threads.current is not before
