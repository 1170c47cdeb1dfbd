"""The places of hubs in a real spool: at least once, each its own, bounded."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pattoo_mp.model import INTEGER, Layout, Origin, Series
from pattoo_mp.upload.pull.places import MAX_PLACES, NoPlaceError, NotHandedOutError, Places
from tests.spool.polls import LAYOUT, fill, poll
from tests.support.spools import AMPLE, limits_with, open_spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.spool.store import Spool

PULL: Final = "pull"
ROOM: Final = 1_000_000


class Clock:
    """A monotonic clock that a test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        """Return its time (s)."""
        return self.now_s


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    """A spool with an output that is fetched."""
    made = open_spool(path, AMPLE, outputs=[PULL])
    yield made
    made.close()


def places(spool: Spool, clock: Clock | None = None) -> Places:
    """The places in it."""
    return Places(spool, PULL, lambda *_: None, clock or Clock())


def fetch(here: Places, hub: str = "a", max_bytes: int = ROOM, known: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - JSON
    """What a hub gets; None if nothing waits."""
    text = here.fetch(hub, max_bytes, known, {"id": "x"})
    return None if text is None else json.loads(text)


def times(answer: Any) -> list[int]:  # noqa: ANN401 - JSON
    """The times of the polls in an answer."""
    return [time_ms for _, time_ms, _, _ in answer["polls"]]


def test_a_new_hub_begins_with_the_next_poll(spool: Spool) -> None:
    """What was there before is not for it."""
    fill(spool, 1, 5)
    here = places(spool)
    assert fetch(here) is None
    fill(spool, 6, 8)
    assert times(fetch(here)) == [6, 7, 8]


def test_what_is_not_acknowledged_comes_again(spool: Spool) -> None:
    """Whole or in part; and after all of it nothing."""
    here = places(spool)
    fetch(here)
    fill(spool, 1, 4)
    first = fetch(here)
    assert fetch(here)["polls"] == first["polls"]
    here.acknowledge("a", first["polls"][1][0])
    assert times(fetch(here)) == [3, 4]
    here.acknowledge("a", first["polls"][3][0])
    here.acknowledge("a", first["polls"][3][0])
    assert fetch(here) is None
    account = spool.state.outputs["pull/a"]
    assert (account.kept, account.delivered, account.waiting) == (4, 4, 0)


def test_hubs_do_not_touch_each_other(spool: Spool) -> None:
    """A poll stays until each has it."""
    here = places(spool)
    fetch(here, "a")
    fetch(here, "b")
    fill(spool, 1, 3)
    here.acknowledge("a", fetch(here, "a")["polls"][-1][0])
    assert fetch(here, "a") is None
    assert times(fetch(here, "b")) == [1, 2, 3]
    assert spool.state.closes


def test_only_what_was_handed_out_can_be_acknowledged(spool: Spool) -> None:
    """A number of another spool, or of another hub, would lose polls."""
    here = places(spool)
    fetch(here)
    fill(spool, 1, 3)
    with pytest.raises(NotHandedOutError):
        here.acknowledge("a", 1)
    number = fetch(here)["polls"][-1][0]
    for hub, up_to in (("a", number + 1), ("a", 0), ("b", number)):
        with pytest.raises(NotHandedOutError):
            here.acknowledge(hub, up_to)
    assert times(fetch(here)) == [1, 2, 3]


def test_a_place_outlasts_the_process(path: Path) -> None:
    """The next one hands out from where the hub was, with the same numbers."""
    spool = open_spool(path, AMPLE, outputs=[PULL])
    here = places(spool)
    fetch(here)
    fill(spool, 1, 4)
    numbers = [number for number, *_ in fetch(here)["polls"]]
    here.acknowledge("a", numbers[1])
    spool.close()
    spool = open_spool(path, AMPLE, outputs=[PULL])
    again = fetch(places(spool))
    assert [number for number, *_ in again["polls"]] == numbers[2:]
    spool.close()


def test_answers_are_bounded_and_say_whether_more_waits(spool: Spool) -> None:
    """At least one poll, however large it is."""
    wide = Layout(LAYOUT.origin, 1, tuple(Series(f"key_{n}", INTEGER) for n in range(500)))
    here = places(spool)
    fetch(here)
    spool.append(
        [(n, poll(n, wide)) for n in range(1, 30)], {wide.identifier: wide.packed}, "channel"
    )
    small = fetch(here, max_bytes=10_000)
    assert (len(small["polls"]), small["more"]) == (1, True)
    text = here.fetch("a", 60_000, (), {}) or b""
    assert len(text) < 65_000
    got: list[int] = []
    while (answer := fetch(here, max_bytes=60_000)) is not None:
        got += times(answer)
        here.acknowledge("a", answer["polls"][-1][0])
    assert got == list(range(1, 30))
    assert answer is None


def test_a_known_layout_is_not_sent_again(spool: Spool) -> None:
    """Nor are the parts of a divided one."""
    parts = [Layout(LAYOUT.origin, 1, (Series(f"part_{n}", INTEGER),)) for n in range(3)]
    whole = Layout.of_parts(parts)
    layouts = {layout.identifier: layout.packed for layout in (*parts, whole)}
    here = places(spool)
    fetch(here)
    spool.append([(1, poll(1, whole))], layouts, "channel")
    found = fetch(here)
    assert found["layouts"].keys() == layouts.keys()
    assert found["layouts"][whole.identifier]["parts"] == [part.identifier for part in parts]
    assert fetch(here, known=(whole.identifier,))["layouts"] == {}
    partly = fetch(here, known=(parts[0].identifier,))["layouts"]
    assert partly.keys() == layouts.keys() - {parts[0].identifier}


def test_a_layout_can_be_made_again_from_an_answer(spool: Spool) -> None:
    """With the same identifier, so with the same checksums: also with bytes that are not UTF-8."""
    origin = Origin("f" * 64, "h\udcff", "p")
    awkward = Layout(origin, 7, (Series("k", INTEGER, (("mount", "/\udc80\x00ü"),)),))
    here = places(spool)
    fetch(here)
    spool.append([(1, poll(1, awkward))], {awkward.identifier: awkward.packed}, "channel")
    ((identifier, shape),) = fetch(here)["layouts"].items()
    series = tuple(Series(k, t, tuple(map(tuple, m))) for k, t, m in shape["series"])
    made = Layout(
        Origin(shape["agent_id"], shape["hostname"], shape["program"]),
        shape["interval_ms"],
        series,
    )
    assert made.identifier == identifier == awkward.identifier


def test_places_are_bounded(spool: Spool) -> None:
    """One more hub gets none, and the others keep theirs."""
    here = places(spool)
    for number in range(MAX_PLACES):
        fetch(here, f"hub{number}")
    with pytest.raises(NoPlaceError):
        fetch(here, "one-more")
    fill(spool, 1, 2)
    assert times(fetch(here, "hub0")) == [1, 2]


def test_a_hub_that_does_not_come_is_given_up(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its polls do not stay for ever, another hub may have the place, and the log says how many."""
    clock = Clock()
    here = places(spool, clock)
    fetch(here, "gone")
    fetch(here, "there")
    fill(spool, 1, 3)
    clock.now_s += 50
    fetch(here, "there")
    clock.now_s += 60
    here.give_up(100)
    assert here.names == ["there"]
    (line,) = [record.message for record in caplog.records if "given up" in record.message]
    assert "The hub gone has not come for" in line
    assert "3 polls" in line
    assert fetch(here, "gone") is None
    assert times(fetch(here, "there")) == [1, 2, 3]
    assert spool.state.closes


def test_what_the_limits_drop_is_in_the_account_of_the_hub(path: Path) -> None:
    """By reason, and it goes on with what is there."""
    spool = open_spool(path, limits_with(max_age_s=60), outputs=[PULL])
    here = places(spool)
    fetch(here)
    spool.append([(1, poll(1)), (2, poll(2))], {LAYOUT.identifier: LAYOUT.packed}, "c")
    spool.append([(3, poll(100_000))], {LAYOUT.identifier: LAYOUT.packed}, "c")
    found = fetch(here)
    assert found["account"]["dropped"] == {"too old": 2}
    assert found["account"]["polled"] == 3
    assert times(found) == [100_000]
    spool.close()


def test_places_stay_with_their_output(path: Path) -> None:
    """They are there after other outputs were configured, and go with the output."""
    spool = open_spool(path, AMPLE, outputs=[PULL])
    fetch(places(spool))
    spool.change_outputs([PULL, "pattoo"])
    assert list(spool.state.outputs) == [PULL, "pattoo", "pull/a"]
    fill(spool, 1, 2)
    spool.change_outputs(["pattoo"])
    assert list(spool.state.outputs) == ["pattoo"]
    assert spool.state.closes
    spool.close()


@pytest.mark.parametrize("how", ["damaged", "removed"])
def test_a_place_outlasts_the_file(path: Path, how: str) -> None:
    """The hub gets what could be read, and its account says what was lost."""
    spool = open_spool(path, AMPLE, outputs=[PULL])
    here = places(spool)
    fetch(here)
    for begin in range(1, 2000, 100):
        fill(spool, begin, begin + 99)
    here.acknowledge("a", fetch(here, max_bytes=10_000)["polls"][0][0])
    spool.close()
    if how == "removed":
        path.unlink()
    else:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(os.urandom(8192))
    spool = open_spool(path, AMPLE, outputs=[PULL])
    here = places(spool)
    assert here.names == ["a"]
    got: list[int] = []
    while (answer := fetch(here)) is not None:
        got += times(answer)
        here.acknowledge("a", answer["polls"][-1][0])
    account = spool.state.outputs["pull/a"]
    assert got == sorted(set(got))
    assert len(got) == account.delivered - 1
    assert account.delivered + account.dropped.total() == account.kept == 2000
    assert account.dropped.total() > 0
    fill(spool, 2001, 2002, "another")
    assert times(fetch(here)) == [2001, 2002]
    spool.close()
