"""Queries with a time limit: a key that hangs is left alone and delays nothing."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from contextlib import nullcontext
from threading import Event
from typing import TYPE_CHECKING, TypeVar

import pytest

from pattoo_mp.timelimit.deadline import Further, NoAnswerError, TimeLimited
from tests.support.succeeding import succession
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pattoo_mp.timelimit.succession import Succession

T = TypeVar("T")

LIMIT_S = 0.4
#: Far more than any limit here, far less than a blocked query takes.
DEADLINE_S = 20.0
NAMES = ("a", "b", "c", "d")


class Host:
    """Answers with the number of queries of the key. A blocked key answers when it is freed."""

    def __init__(self, name: str, succession: Succession | None = None) -> None:
        self.asked: Counter[str] = Counter()
        self.failing: dict[str, Exception] = {}
        self._blocked: dict[str, Event] = {}
        self._name = name
        self._succession = succession
        self.limited = TimeLimited(name, self.answer, LIMIT_S, succession)

    def answer(self, key: str) -> str:
        """Answer in place of psutil."""
        self.asked[key] += 1
        answer = f"{key}{self.asked[key]}"
        if key in self._blocked:
            self._blocked[key].wait(60)
        if key in self.failing:
            raise self.failing[key]
        return answer

    def block(self, *keys: str) -> None:
        """Make these hang from now on."""
        self._blocked |= {key: Event() for key in keys}

    def free(self, *keys: str) -> None:
        """Make these answer, late, and from now on promptly."""
        for key in keys or tuple(self._blocked):
            self._blocked.pop(key).set()

    def release_once(self, key: str) -> None:
        """Allow one late answer. The next query hangs again."""
        event, self._blocked[key] = self._blocked[key], Event()
        event.set()

    def ask(self, keys: Iterable[str]) -> dict[str, str | Exception]:
        """Return the answers."""
        return self._done(lambda: self.limited.ask(keys))

    def ask_one(self, key: str) -> str:
        """Return the answer of one key."""
        return self._done(lambda: self.limited.ask_one(key))

    def _done(self, ask: Callable[[], T]) -> T:
        """Return what `ask` returns, in this thread or in those of the succession."""
        if self._succession is None:
            return ask()
        done: list[T] = []
        self._succession.run(lambda: done.append(ask()))
        (answer,) = done
        return answer

    def given(self, *keys: str) -> set[str]:
        """Return the keys that answered."""
        answers = self.ask(keys or NAMES)
        return {key for key, answer in answers.items() if not isinstance(answer, Exception)}

    def threads(self) -> int:
        """Return the number of threads that query this host, without the spare one."""
        threads = sum(thread.name == self._name for thread in threading.enumerate())
        return threads - (self._succession is not None)


@pytest.fixture
def alone(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host whose queries are all answered in the end, so that no thread remains."""
    host = Host(request.node.name)
    yield host
    host.free()


@pytest.fixture(params=["in a worker", "in the calling thread"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The same, queried by a worker, or by the calling thread, which is replaced when it hangs."""
    name = request.node.name
    with succession(name) if request.param == "in the calling thread" else nullcontext() as threads:
        host = Host(name, threads)
        yield host
        host.free()


def test_each_key_has_its_answer(host: Host) -> None:
    """In the order of the keys, each queried once."""
    assert list(host.ask("bad").items()) == [("b", "b1"), ("a", "a1"), ("d", "d1")]


def test_an_error_is_an_answer(host: Host) -> None:
    """Of that key alone."""
    host.failing["b"] = error = OSError("stale")
    assert host.ask("abc") == {"a": "a1", "b": error, "c": "c1"}


def test_ask_one_raises_the_error_of_its_key(host: Host) -> None:
    """As if there were no limit."""
    host.failing["b"] = OSError("stale")
    assert host.ask_one("a") == "a1"
    with pytest.raises(OSError, match="stale"):
        host.ask_one("b")


def test_without_keys_no_thread_is_started(alone: Host) -> None:
    """A host without mounts is not an error."""
    assert alone.ask(()) == {}
    assert alone.threads() == 0


def test_one_thread_makes_all_queries(host: Host) -> None:
    """The same one in each poll."""
    for _ in range(50):
        assert host.given() == set(NAMES)
    assert host.threads() == 1


@pytest.mark.parametrize("hanging", NAMES)
def test_a_hanging_key_is_left_out(host: Host, hanging: str) -> None:
    """Whatever its position, the others answer in the same poll. Its error gives the reason."""
    host.block(hanging)
    answers = host.ask(NAMES)
    error = answers.pop(hanging)
    assert isinstance(error, NoAnswerError)
    assert str(error) == f"no answer within {LIMIT_S} s"
    assert answers == {name: f"{name}1" for name in NAMES if name != hanging}


def test_a_slow_key_that_answers_in_time_does_not_hang(host: Host) -> None:
    """It has the whole limit. The others are queried in parallel meanwhile."""
    host.limited.limit_s = 3.0
    host.block("b")
    timer = threading.Timer(1.6, host.free, "b")
    timer.start()
    answers = host.ask(NAMES)
    timer.join()
    assert answers == {name: f"{name}1" for name in NAMES}


def test_the_limit_is_for_all_keys_together(host: Host) -> None:
    """Not for each of them, even if all of them hang."""
    keys = [str(n) for n in range(100)]
    host.block(*keys)
    begun = time.monotonic()
    assert host.given(*keys) == set()
    assert time.monotonic() - begun < DEADLINE_S


def test_a_hanging_key_is_asked_once(host: Host) -> None:
    """One attempt and one thread for it, for any number of polls. None of them waits for it."""
    host.block("b")
    assert host.given() == {"a", "c", "d"}
    begun = time.monotonic()
    for _ in range(200):
        assert host.given() == {"a", "c", "d"}
    assert time.monotonic() - begun < 200 * LIMIT_S / 2
    assert host.asked["b"] == 1
    wait_for(lambda: host.threads() <= 2, what="the end of the spare threads")


def test_two_hanging_keys_are_left_out(host: Host) -> None:
    """In the same poll. Each occupies a thread, and the others go on."""
    host.block("a", "c")
    for _ in range(50):
        assert host.given() == {"b", "d"}
    assert (host.asked["a"], host.asked["c"]) == (1, 1)
    wait_for(lambda: host.threads() <= 3, what="the end of the spare threads")


def test_keys_may_hang_one_after_the_other(host: Host) -> None:
    """A second dead mount is no worse than the first."""
    host.block("a")
    assert host.given() == {"b", "c", "d"}
    host.block("d")
    assert host.given() == {"b", "c"}
    assert host.given() == {"b", "c"}
    wait_for(lambda: host.threads() <= 3, what="the end of the spare threads")


def test_many_hanging_keys_are_found(host: Host) -> None:
    """If too many hang for one poll, those after them answer in one of the next polls."""
    dead = [f"dead{n}" for n in range(25)]
    host.block(*dead)
    wait_for(lambda: host.given(*dead, "a", "b") == {"a", "b"}, what="the keys that answer")
    wait_for(lambda: host.given(*dead, "a", "b") and host.threads() <= 26, what="fewer threads")
    assert max(host.asked[key] for key in dead) == 1


def test_a_key_is_back_when_it_answers(host: Host) -> None:
    """Its late answer is discarded, it is queried again, and its thread ends."""
    host.block("b")
    host.given()
    host.free("b")
    wait_for(lambda: host.given() == set(NAMES), what="its return")
    assert host.ask_one("b") == f"b{host.asked['b']}"
    wait_for(lambda: host.threads() == 1, what="the end of its thread")


def test_a_late_error_is_discarded(host: Host) -> None:
    """It is out of date."""
    host.block("b")
    host.failing["b"] = OSError("timed out")
    host.given()
    host.failing.clear()
    host.free("b")
    wait_for(lambda: host.given() == set(NAMES), what="its return")


def test_no_poll_waits_for_a_key_that_keeps_answering_late(host: Host) -> None:
    """After a late answer another thread queries it: a poll that waited would be late again."""
    host.block("b")
    host.given()
    for attempts in (2, 3, 4):
        host.release_once("b")
        wait_for(lambda: host.given() and host.asked["b"] == attempts, what="one more attempt")  # noqa: B023
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() > begun + LIMIT_S, what="lateness")  # noqa: B023
        assert host.given() == {"a", "c", "d"}
    assert host.asked["b"] == 4
    host.free("b")
    wait_for(lambda: host.given() == set(NAMES), what="its return")


def test_a_key_that_vanishes_while_it_hangs_is_forgotten(host: Host) -> None:
    """As soon as its thread is free. Meanwhile no poll mentions it."""
    host.block("b")
    host.given()
    assert list(host.ask("acd")) == ["a", "c", "d"]
    host.free("b")
    wait_for(lambda: host.given("a") and host.threads() == 1, what="the end of its thread")
    assert host.limited._hanging == {}
    assert host.given() == set(NAMES)


def test_a_key_that_comes_and_goes_while_it_hangs_keeps_one_thread(host: Host) -> None:
    """An automounter that keeps trying does not cost a thread for each attempt."""
    host.block("b")
    host.given()
    for _ in range(50):
        assert host.given("a", "c") == {"a", "c"}
        assert host.given() == {"a", "c", "d"}
    assert host.asked["b"] == 1
    wait_for(lambda: host.threads() <= 2, what="the end of the spare threads")


def test_the_thread_ends_with_its_time_limited(alone: Host) -> None:
    """No call is needed to end it."""
    alone.given()
    assert alone.threads() == 1
    del alone.limited
    gc.collect()
    wait_for(lambda: alone.threads() == 0, what="the end of the thread")


def test_an_answer_may_add_keys_to_the_round(host: Host) -> None:
    """As a list of mounts does. One of them that hangs is not queried again."""
    usual = host.limited._query
    host.limited._query = lambda key: Further("bcd") if key == "a" else usual(key)  # type: ignore[assignment,return-value]
    host.block("c")
    answers = host.ask("a")
    assert isinstance(answers.pop("c"), NoAnswerError)
    assert answers == {"a": ("b", "c", "d"), "b": "b1", "d": "d1"}
    assert isinstance(host.ask("a")["c"], NoAnswerError)
    assert host.asked == {"b": 2, "c": 1, "d": 2}


def test_a_round_that_is_slow_but_goes_on_is_not_left_behind(host: Host) -> None:
    """Each key takes less than half of the limit, all of them together take more."""
    threads = set()

    def slowly(key: str) -> str:
        threads.add(threading.get_ident())
        time.sleep(LIMIT_S / 4)
        return key

    host.limited._query = slowly
    assert host.ask("abcdef") == {key: key for key in "abcdef"}
    assert len(threads) == 1


def test_the_thread_that_hung_queries_its_key_until_that_is_prompt(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of a poll would be held up by each of these queries."""
    by: list[int] = []
    answer = host.answer

    def noted(key: str) -> str:
        if key == "b":
            by.append(threading.get_ident())
        return answer(key)

    monkeypatch.setattr(host.limited, "_query", noted)
    host.block("b")
    host.given()
    for attempts in (2, 3, 4):
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() > begun + LIMIT_S, what="lateness")  # noqa: B023
        host.release_once("b")
        wait_for(lambda: host.given() and host.asked["b"] == attempts, what="one more attempt")  # noqa: B023
    assert len(by) == 4
    assert len(set(by)) == 1
