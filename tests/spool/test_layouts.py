"""A layout stays in the spool as long as a poll may need it, and no longer."""

from __future__ import annotations

import gc
import os
import random
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from pattoo_mp.spool.store import Spool, StorageError
from pattoo_mp.spool.tables import Tables
from tests.support.spools import AMPLE, limits_with

if TYPE_CHECKING:
    from pathlib import Path

KB = 1000
LAYOUT_BYTES = 10 * KB
POLL_BYTES = KB


@pytest.fixture
def path(home: Path) -> Path:
    """Where a spool may be made."""
    return home / "spool.sqlite"


def layout(number: int) -> Layout:
    """One of the layouts of a host that changes; about 10 kB."""
    name = f"{number:010}" * (LAYOUT_BYTES // 10)
    return Layout(Origin("f" * 64, "host"), 1000, (Series("load", INTEGER, (("name", name),)),))


def keep(spool: Spool, number: int, its: Layout, polls: int = 1) -> None:
    """Keep so many polls of that layout, the first of the number and the time `number`."""
    numbers = range(number, number + polls)
    new = [(n, Poll(its.identifier, n, os.urandom(POLL_BYTES))) for n in numbers]
    spool.append(new, {its.identifier: its.packed}, "c")


def outage(spool: Spool, layouts: range, polls: int = 10) -> None:
    """Keep so many polls of each of these layouts, one layout after the other."""
    for number in layouts:
        keep(spool, number * polls, layout(number), polls)


def kept(path: Path) -> set[str]:
    """The layouts in the file."""
    with closing(sqlite3.connect(path)) as file:
        return {identifier for (identifier,) in file.execute("SELECT identifier FROM layouts")}


def of(layouts: range) -> set[str]:
    """The identifiers of these layouts."""
    return {layout(number).identifier for number in layouts}


def of_polls(spool: Spool) -> set[str]:
    """The layouts of the polls that wait, each of which can be read."""
    found = {spooled.poll.layout_id for spooled in spool.oldest(1 << 20)}
    assert all(spool.layout(identifier).identifier == identifier for identifier in found)
    return found


def of_quarantine(path: Path) -> set[str | None]:
    """The layouts of the polls that were set aside; None is one that is missing."""
    with closing(sqlite3.connect(path)) as file:
        query = (
            "SELECT identifier FROM quarantine LEFT JOIN layouts ON layouts.id = quarantine.layout"
        )
        return {identifier for (identifier,) in file.execute(query)}


def in_memory() -> int:
    """How many unpacked layouts this process has."""
    return sum(isinstance(found, Layout) for found in gc.get_objects())


@pytest.mark.parametrize("reopened", [False, True])
def test_in_a_full_spool_a_layout_goes_with_its_last_poll(path: Path, *, reopened: bool) -> None:
    """A long outage of a host that changes: its past does not crowd its polls out."""
    limits = limits_with(max_bytes=800 * KB, min_free_bytes=0)
    spool = Spool(path, limits)
    outage(spool, range(1, 40))
    if reopened:
        spool.close()
        spool = Spool(path, limits)
    outage(spool, range(40, 200))
    assert spool.waiting * (POLL_BYTES + LAYOUT_BYTES // 10) > 600 * KB
    assert kept(path) == of_polls(spool)
    assert set(spool.state.dropped) == {"the spool is full"}
    assert spool.state.closes
    spool.close()


def test_with_polls_that_are_too_old_their_layouts_go(path: Path) -> None:
    """They go long before the spool is full."""
    spool = Spool(path, limits_with(max_age_s=1))
    outage(spool, range(1, 200))
    assert spool.waiting == 1001
    assert kept(path) == of_polls(spool) == of(range(99, 200))
    spool.close()


def test_as_a_backlog_is_delivered_its_layouts_go(path: Path) -> None:
    """Not only once nothing waits: with a slow server something always does."""
    spool = Spool(path, AMPLE)
    outage(spool, range(1, 40))
    for _ in range(30):
        spool.acknowledge(spool.oldest(10)[-1].id)
    assert kept(path) == of(range(31, 40))
    spool.close()


def test_of_a_long_backlog_few_layouts_are_in_memory(path: Path) -> None:
    """Those of what was given out last: unpacked they are many times as large."""
    spool = Spool(path, AMPLE)
    outage(spool, range(1, 40))
    before = in_memory()
    while spool.waiting > 10:
        given = spool.oldest(10)
        spool.layout(given[0].poll.layout_id)
        spool.acknowledge(given[-1].id)
    assert in_memory() <= before + 2
    spool.close()


def test_a_layout_that_came_back_stays(path: Path) -> None:
    """A container was stopped and started again: the polls before and after share a layout."""
    spool = Spool(path, AMPLE)
    keep(spool, 1, layout(1))
    keep(spool, 2, layout(2))
    keep(spool, 3, layout(1))
    keep(spool, 4, layout(4))
    spool.acknowledge(spool.oldest(2)[-1].id)
    assert kept(path) == of_polls(spool) == {layout(1).identifier, layout(4).identifier}
    spool.close()


def test_the_layout_of_a_poll_that_was_given_out_can_be_asked_for(path: Path) -> None:
    """It is dropped between the two, for the other thread keeps polls meanwhile."""
    spool = Spool(path, limits_with(max_age_s=1))
    keep(spool, 1, layout(1))
    (given,) = spool.oldest(1)
    keep(spool, 5000, layout(2))
    assert spool.state.dropped == {"too old": 1}
    assert spool.layout(given.poll.layout_id) == layout(1)
    assert of_polls(spool) == {layout(2).identifier}
    keep(spool, 10_000, layout(3))
    assert layout(1).identifier not in kept(path)
    spool.close()


@pytest.mark.parametrize("reopened", [False, True])
def test_a_layout_goes_with_its_last_poll_in_quarantine(path: Path, *, reopened: bool) -> None:
    """It has no other poll, and something always waits."""
    spool = Spool(path, AMPLE)
    outage(spool, range(1, 10))
    for spooled in spool.oldest(80):
        if spooled.poll.timestamp_ms % 10 == 0:
            spool.set_aside(spooled.id, "refused")
    spool.acknowledge(spool.oldest(72)[-1].id)
    if reopened:
        spool.close()
        spool = Spool(path, AMPLE)
    assert spool.quarantined == 8
    assert kept(path) == of(range(1, 10))
    spool.limits = limits_with(max_bytes=400 * KB)
    keep(spool, 101, layout(9))
    assert spool.quarantined == 3
    assert kept(path) == of(range(6, 10))
    spool.close()


def test_after_a_rescue_layouts_go_as_before(path: Path) -> None:
    """Whose they are is known of the new file, too."""
    spool = Spool(path, AMPLE)
    outage(spool, range(1, 40))
    path.unlink()
    spool.limits = limits_with(max_bytes=800 * KB, min_free_bytes=0)
    outage(spool, range(40, 100))
    assert kept(path) == of_polls(spool)
    spool.close()


def test_a_rescue_keeps_to_the_limit_with_its_layouts(path: Path) -> None:
    """They may be most of what the new file holds."""
    spool = Spool(path, AMPLE)
    outage(spool, range(1, 1001), polls=1)
    spool.close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM facts")
    spool = Spool(path, limits_with(max_bytes=4 * KB * KB, min_free_bytes=0))
    assert path.stat().st_size < 4.5 * KB * KB
    assert spool.waiting * (POLL_BYTES + LAYOUT_BYTES) > 2.5 * KB * KB
    assert kept(path) == of_polls(spool)
    assert spool.state.dropped == {"the spool is full": 1000 - spool.waiting}
    spool.close()


def test_a_commit_that_failed_leaves_what_is_known_of_them(path: Path) -> None:
    """The disk was full as polls went: their layout goes with them at the next attempt."""
    tables = Tables(path)
    first, second = layout(1), layout(2)
    with tables.transaction():
        for its in (first, second):
            tables.add([Poll(its.identifier, 1, b"")], {its.identifier: its.packed})
    for fails in (True, False):
        with suppress(LookupError), tables.transaction():
            tables.remove_oldest(1)
            if fails:
                raise LookupError
    tables.close()
    assert kept(path) == {second.identifier}


class Chance:
    """A spool to which anything happens, as a seed has it."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self._draw = random.Random(seed)
        self._number = 0
        self.spool = self._opened()

    def go_on(self) -> None:
        """Do one thing or another."""
        draw, spool = self._draw, self.spool
        match draw.randrange(10):
            case 0:
                spool.close()
                self.spool = self._opened()
            case 1:
                self._fail()
            case 2 | 3 if spool.waiting:
                spool.acknowledge(draw.choice(spool.oldest(20)).id)
            case 4 if spool.waiting:
                spool.set_aside(draw.choice(spool.oldest(20)).id, "refused")
            case _:
                polls = draw.randrange(1, 6)
                keep(spool, self._number + 1, layout(draw.randrange(30)), polls)
                self._number += draw.choice([polls, polls, polls + 300])

    def deliver_all(self) -> str:
        """Keep one poll more, and deliver all; returns its layout."""
        its = layout(0)
        keep(self.spool, self._number + 1, its)
        self.spool.acknowledge(self.spool.oldest(1 << 20)[-1].id)
        return its.identifier

    def _opened(self) -> Spool:
        return Spool(self._path, limits_with(max_bytes=300 * KB, max_age_s=1, min_free_bytes=0))

    def _fail(self) -> None:
        """A commit that comes to nothing, after its layout was put in."""
        its = layout(self._draw.randrange(30))
        first = Poll(its.identifier, self._number + 1, b"")
        second = Poll("a layout nobody gave", self._number + 1, b"")
        with pytest.raises(StorageError):
            self.spool.append(
                [(self._number + 1, first), (self._number + 2, second)],
                {its.identifier: its.packed},
                "c",
            )


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_no_layout_is_missing_and_none_is_left_over(path: Path, seed: int) -> None:
    """Polls come of any layout and go in any way; commits fail, and the spool is opened anew."""
    chance = Chance(path, seed)
    for _ in range(200):
        chance.go_on()
        assert of_polls(chance.spool) | of_quarantine(path) <= kept(path)
    last = chance.deliver_all()
    assert kept(path) == of_quarantine(path) | {last}
    chance.spool.close()
