"""Several questions that may hang, in one round for each poll."""

from __future__ import annotations

from threading import Event

import psutil
import pytest

from pattoo_mp.collect import registry
from pattoo_mp.collect.context import SharedDeadline
from pattoo_mp.collect.poller import Poller
from pattoo_mp.doctor.polls import DEFAULT
from tests.support.sources import BY_DEFAULT
from tests.support.succeeding import succession
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

LIMIT_S = 0.4


def test_one_round_asks_all_parts_once() -> None:
    """Whichever is wanted first; the next poll asks anew."""
    asked: list[str] = []
    together = SharedDeadline(60.0)

    def answer(key: str) -> str:
        asked.append(key)
        return key * 2

    letters = together.part("letters", lambda: "ab", answer)
    digits = together.part("digits", lambda: "12", answer)
    for _ in range(3):
        asked.clear()
        assert letters() == {"a": "aa", "b": "bb"}
        assert asked == ["a", "b", "1", "2"]
        assert digits() == {"1": "11", "2": "22"}
        assert len(asked) == 4


def test_what_a_part_raises_is_its_own_affair() -> None:
    """One that cannot tell whom to ask keeps no answer from the others."""
    together = SharedDeadline(60.0)
    broken = together.part("broken", lambda: [1 // 0], str)
    sound = together.part("sound", lambda: "ab", str.upper)
    with pytest.raises(ZeroDivisionError):
        broken()
    assert sound() == {"a": "A", "b": "B"}


def test_answers_that_nobody_took_are_not_given_to_a_later_poll() -> None:
    """They were of another time."""
    number = iter(range(100))
    now = [100.0]
    together = SharedDeadline(60.0, lambda: now[0])
    one = together.part("one", lambda: "a", lambda _: next(number))
    other = together.part("other", lambda: "b", lambda _: next(number))
    one()
    now[0] += 61
    assert other() == {"b": 3}


def test_who_hangs_is_left_out_and_the_others_answer() -> None:
    """Also those of other parts; and all again when it does."""
    answer = Event()
    together = SharedDeadline(LIMIT_S)
    hanging = together.part("hanging", lambda: "a", lambda _: answer.wait(60))
    sound = together.part("sound", lambda: "b", str.upper)
    assert isinstance(hanging()["a"], TimeoutError)
    assert sound() == {"b": "B"}
    answer.set()
    wait_for(lambda: hanging() == {"a": True}, what="its return")


def test_a_successor_takes_no_answer_for_ready_that_was_never_given() -> None:
    """Its predecessor hangs at the first key; the time of the poll before is no matter."""
    hangs, answer = [False], Event()

    def question(key: str) -> str:
        if hangs[0] and key == "a":
            answer.wait(60)
        return key.upper()

    def poll() -> None:
        polls.append((letters(), digits()))

    with succession() as threads:
        together = SharedDeadline(LIMIT_S, lambda: 0.0, threads)
        letters = together.part("letters", lambda: "ab", question)
        digits = together.part("digits", lambda: "12", question)
        polls: list[tuple[dict[str, object], dict[str, object]]] = []
        threads.run(poll)
        hangs[0] = True
        threads.run(poll)
        answer.set()
    assert polls[0] == ({"a": "A", "b": "B"}, {"1": "1", "2": "2"})
    late = polls[1][0].pop("a")
    assert isinstance(late, TimeoutError)
    assert polls[1] == ({"b": "B"}, {"1": "1", "2": "2"})


def test_a_frugal_poll_has_the_series_of_any_other() -> None:
    """What is asked less often, or together, is the same in the end."""
    plain, _ = Poller(BY_DEFAULT, ORIGIN, 1000).poll(1000)
    poller = Poller(registry.sources(1.0, DEFAULT, frugal=True), ORIGIN, 1000)
    assert [poller.poll(1000 * n)[0].identifier for n in (1, 2)] == [plain.identifier] * 2


def test_all_that_hang_share_the_limit_of_a_frugal_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mounts and the frequency in one round; the rest of the host is polled."""
    answer = Event()
    mounts = [m.mountpoint for m in psutil.disk_partitions() if "docker" not in m.mountpoint]
    monkeypatch.setattr(psutil, "cpu_freq", lambda: answer.wait(60))
    monkeypatch.setattr(psutil, "disk_usage", lambda _: answer.wait(60))
    poller = Poller(registry.sources(LIMIT_S, DEFAULT, frugal=True), ORIGIN, 1000)
    layout, _ = poller.poll(1000)
    assert {"process_count", "memory_total", "cpu_times_user"} <= {s.key for s in layout.series}
    expected = {"processor.frequency", *(f"disk_partitions {place}" for place in mounts)}
    assert expected <= set(poller.left_out)
    assert {poller.left_out[name].removeprefix("NoAnswerError: ") for name in expected} == {
        "no answer within 0.2 s"
    }
    answer.set()
