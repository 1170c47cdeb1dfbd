"""The deadline that the sources of a poll share, and the plan that they are made with."""

from __future__ import annotations

from threading import Event

import psutil
import pytest

from pattoo_mp.collect import registry
from pattoo_mp.collect.context import AvoidedError, Plan, SharedDeadline, Watch
from pattoo_mp.collect.families import processor
from pattoo_mp.collect.poller import Poller
from pattoo_mp.doctor.polls import DEFAULT
from tests.support.sources import BY_DEFAULT
from tests.support.succeeding import succession
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

LIMIT_S = 0.4


def test_one_round_queries_all_parts_once() -> None:
    """Whichever part is wanted first. The next poll queries all again."""
    asked: list[str] = []
    deadline = SharedDeadline(60.0)

    def answer(key: str) -> str:
        asked.append(key)
        return key * 2

    letters = deadline.add("letters", lambda: "ab", answer)
    digits = deadline.add("digits", lambda: "12", answer)
    for _ in range(3):
        asked.clear()
        assert letters() == {"a": "aa", "b": "bb"}
        assert asked == ["a", "b", "1", "2"]
        assert digits() == {"1": "11", "2": "22"}
        assert len(asked) == 4


def test_an_error_of_one_part_does_not_affect_the_others() -> None:
    """Even if that part cannot list its keys."""
    deadline = SharedDeadline(60.0)
    broken = deadline.add("broken", lambda: [1 // 0], str)
    sound = deadline.add("sound", lambda: "ab", str.upper)
    with pytest.raises(ZeroDivisionError):
        broken()
    assert sound() == {"a": "A", "b": "B"}


def test_answers_that_were_not_taken_are_not_returned_in_a_later_poll() -> None:
    """They are out of date."""
    number = iter(range(100))
    deadline = SharedDeadline(60.0)
    one = deadline.add("one", lambda: "a", lambda _: next(number))
    other = deadline.add("other", lambda: "b", lambda _: next(number))
    one()
    one()
    assert other() == {"b": 3}


def test_a_key_that_hangs_is_left_out_and_the_others_answer() -> None:
    """Also those of other parts. All answer again once it does."""
    answer = Event()
    deadline = SharedDeadline(LIMIT_S)
    hanging = deadline.add("hanging", lambda: "a", lambda _: answer.wait(60))
    sound = deadline.add("sound", lambda: "b", str.upper)
    assert isinstance(hanging()["a"], TimeoutError)
    assert sound() == {"b": "B"}
    answer.set()
    wait_for(lambda: hanging() == {"a": True}, what="its return")


def test_a_successor_does_not_take_old_answers_for_ready() -> None:
    """Its predecessor hangs at the first key, right after the previous poll."""
    hangs, answer = [False], Event()

    def query(key: str) -> str:
        if hangs[0] and key == "a":
            answer.wait(60)
        return key.upper()

    def poll() -> None:
        polls.append((letters(), digits()))

    with succession() as threads:
        deadline = SharedDeadline(LIMIT_S, threads)
        letters = deadline.add("letters", lambda: "ab", query)
        digits = deadline.add("digits", lambda: "12", query)
        polls: list[tuple[dict[str, object], dict[str, object]]] = []
        threads.run(poll)
        hangs[0] = True
        threads.run(poll)
        answer.set()
    assert polls[0] == ({"a": "A", "b": "B"}, {"1": "1", "2": "2"})
    late = polls[1][0].pop("a")
    assert isinstance(late, TimeoutError)
    assert polls[1] == ({"b": "B"}, {"1": "1", "2": "2"})


def test_shared_sources_give_the_same_series() -> None:
    """Although they query less often, or together."""
    plain, _ = Poller(BY_DEFAULT, ORIGIN, 1000).poll(1000)
    poller = Poller(registry.sources_of(Plan(DEFAULT, 1.0, shared=True)), ORIGIN, 1000)
    assert [poller.poll(1000 * n)[0].identifier for n in (1, 2)] == [plain.identifier] * 2


def test_shared_sources_that_hang_share_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mounts and the frequency are queried in one round. The rest of the host is polled."""
    answer = Event()
    mounts = [m.mountpoint for m in psutil.disk_partitions() if "docker" not in m.mountpoint]
    monkeypatch.setattr(processor, "by_processor", lambda: answer.wait(60))
    monkeypatch.setattr(psutil, "disk_usage", lambda _: answer.wait(60))
    poller = Poller(registry.sources_of(Plan(DEFAULT, LIMIT_S, shared=True)), ORIGIN, 1000)
    layout, _ = poller.poll(1000)
    assert {"process_count", "memory_total", "cpu_times_user"} <= {s.key for s in layout.series}
    expected = {"processor.frequency", *(f"disk_partitions {place}" for place in mounts)}
    assert expected <= set(poller.left_out)
    assert {poller.left_out[name].removeprefix("NoAnswerError: ") for name in expected} == {
        "no answer within 0.4 s"
    }
    answer.set()


def test_a_source_to_avoid_is_not_read_and_the_others_are() -> None:
    """Until the reasons change. `begin` is called before each source, and after the last."""
    begun: list[str] = []
    watch = Watch(begun.append)
    deadline = SharedDeadline(60.0, watch=watch)
    one = deadline.add_one("one", lambda: "ONE")
    listed = deadline.add("listed", lambda: "ab", str.upper)
    watch.avoid({"one": "an earlier collector hung in it"})
    with pytest.raises(AvoidedError, match="hung in it"):
        one()
    assert listed() == {"a": "A", "b": "B"}
    assert begun == ["listed", "listed", "listed", ""]
    watch.avoid({"listed": "another reason"})
    assert one() == "ONE"
    with pytest.raises(AvoidedError, match="another"):
        listed()


def test_a_list_of_keys_that_hangs_holds_up_nothing() -> None:
    """The part is left out, and is back when its list is."""
    answer = Event()
    deadline = SharedDeadline(LIMIT_S)
    listed = deadline.add("listed", lambda: "ab" if answer.wait(60) else "", str.upper)
    sound = deadline.add_one("sound", lambda: "C")
    with pytest.raises(TimeoutError):
        listed()
    assert sound() == "C"
    answer.set()

    def is_back() -> bool:
        sound()
        try:
            return listed() == {"a": "A", "b": "B"}
        except TimeoutError:
            return False

    wait_for(is_back, what="its return")
