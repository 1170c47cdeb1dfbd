"""A layout stays in the spool as long as a poll needs it, and no longer."""

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
from tests.support.spools import AMPLE, OUTPUT, limits_with, open_spool

if TYPE_CHECKING:
    from pathlib import Path

KB = 1000
LAYOUT_BYTES = 10 * KB
POLL_BYTES = KB


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


def layout(number: int) -> Layout:
    """Return one of the layouts of a changing host, of about 10 kB."""
    name = f"{number:010}" * (LAYOUT_BYTES // 10)
    return Layout(Origin("f" * 64, "host"), 1000, (Series("load", INTEGER, (("name", name),)),))


def keep(spool: Spool, number: int, its: Layout, polls: int = 1) -> None:
    """Store polls of a layout, with numbers and times from `number` on."""
    numbers = range(number, number + polls)
    new = [(n, Poll(its.identifier, n, os.urandom(POLL_BYTES))) for n in numbers]
    spool.append(new, {its.identifier: its.packed}, "c")


def outage(spool: Spool, layouts: range, polls: int = 10) -> None:
    """Store polls of each of these layouts, one layout after the other."""
    for number in layouts:
        keep(spool, number * polls, layout(number), polls)


def kept(path: Path) -> set[str]:
    """Return the layouts in the file."""
    with closing(sqlite3.connect(path)) as file:
        return {identifier for (identifier,) in file.execute("SELECT identifier FROM layouts")}


def of(layouts: range) -> set[str]:
    """Return the identifiers of these layouts."""
    return {layout(number).identifier for number in layouts}


def of_polls(spool: Spool) -> set[str]:
    """Return the layouts of the waiting polls; each can be read."""
    found = {spooled.poll.layout_id for spooled in spool.oldest(OUTPUT, 1 << 20)}
    assert all(spool.layout(identifier).identifier == identifier for identifier in found)
    return found


def of_quarantine(path: Path) -> set[str | None]:
    """Return the layouts of quarantined polls; None stands for a missing one."""
    with closing(sqlite3.connect(path)) as file:
        query = (
            "SELECT identifier FROM quarantine LEFT JOIN layouts ON layouts.id = quarantine.layout"
        )
        return {identifier for (identifier,) in file.execute(query)}


def in_memory() -> int:
    """Return the number of unpacked layouts in this process."""
    return sum(isinstance(found, Layout) for found in gc.get_objects())


@pytest.mark.parametrize("reopened", [False, True])
def test_a_full_spool_drops_a_layout_with_its_last_poll(path: Path, *, reopened: bool) -> None:
    """In a long outage of a changing host, old layouts do not take the room of polls."""
    limits = limits_with(max_bytes=800 * KB, min_free_bytes=0)
    spool = open_spool(path, limits)
    outage(spool, range(1, 40))
    if reopened:
        spool.close()
        spool = open_spool(path, limits)
    outage(spool, range(40, 200))
    assert spool.account(OUTPUT).waiting * (POLL_BYTES + LAYOUT_BYTES // 10) > 600 * KB
    assert kept(path) == of_polls(spool)
    assert set(spool.account(OUTPUT).dropped) == {"the spool is full"}
    assert spool.state.closes
    spool.close()


def test_layouts_go_with_polls_that_are_too_old(path: Path) -> None:
    """They are removed long before the spool is full."""
    spool = open_spool(path, limits_with(max_age_s=1))
    outage(spool, range(1, 200))
    assert spool.account(OUTPUT).waiting == 1001
    assert kept(path) == of_polls(spool) == of(range(99, 200))
    spool.close()


def test_layouts_go_as_a_backlog_is_delivered(path: Path) -> None:
    """Not only once nothing waits, as with a slow server something always does."""
    spool = open_spool(path, AMPLE)
    outage(spool, range(1, 40))
    for _ in range(30):
        spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 10)[-1].id)
    assert kept(path) == of(range(31, 40))
    spool.close()


def test_few_layouts_of_a_long_backlog_are_in_memory(path: Path) -> None:
    """Only those of the polls handed out last: unpacked, they are many times as large."""
    spool = open_spool(path, AMPLE)
    outage(spool, range(1, 40))
    before = in_memory()
    while spool.account(OUTPUT).waiting > 10:
        given = spool.oldest(OUTPUT, 10)
        spool.layout(given[0].poll.layout_id)
        spool.acknowledge(OUTPUT, given[-1].id)
    assert in_memory() <= before + 2
    spool.close()


def test_a_layout_that_is_used_again_stays(path: Path) -> None:
    """As with a container that stops and starts: the polls before and after share a layout."""
    spool = open_spool(path, AMPLE)
    keep(spool, 1, layout(1))
    keep(spool, 2, layout(2))
    keep(spool, 3, layout(1))
    keep(spool, 4, layout(4))
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 2)[-1].id)
    assert kept(path) == of_polls(spool) == {layout(1).identifier, layout(4).identifier}
    spool.close()


def test_the_layout_of_a_handed_out_poll_can_be_read(path: Path) -> None:
    """The poll is dropped in between, as the other thread stores polls meanwhile."""
    spool = open_spool(path, limits_with(max_age_s=1))
    keep(spool, 1, layout(1))
    (given,) = spool.oldest(OUTPUT, 1)
    keep(spool, 5000, layout(2))
    assert spool.account(OUTPUT).dropped == {"too old": 1}
    assert spool.layout(given.poll.layout_id) == layout(1)
    assert of_polls(spool) == {layout(2).identifier}
    keep(spool, 10_000, layout(3))
    assert layout(1).identifier not in kept(path)
    spool.close()


@pytest.mark.parametrize("reopened", [False, True])
def test_a_layout_goes_with_its_last_poll_in_quarantine(path: Path, *, reopened: bool) -> None:
    """It has no other poll, and other polls always wait."""
    spool = open_spool(path, AMPLE)
    outage(spool, range(1, 10))
    for spooled in spool.oldest(OUTPUT, 80):
        if spooled.poll.timestamp_ms % 10 == 0:
            spool.set_aside(OUTPUT, spooled.id, "refused")
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 72)[-1].id)
    if reopened:
        spool.close()
        spool = open_spool(path, AMPLE)
    assert spool.account(OUTPUT).quarantined == 8
    assert kept(path) == of(range(1, 10))
    spool.limits = limits_with(max_bytes=400 * KB)
    keep(spool, 101, layout(9))
    assert spool.account(OUTPUT).quarantined == 3
    assert kept(path) == of(range(6, 10))
    spool.close()


def test_layouts_go_with_their_polls_after_recovery(path: Path) -> None:
    """Their use is known for the new file, too."""
    spool = open_spool(path, AMPLE)
    outage(spool, range(1, 40))
    path.unlink()
    spool.limits = limits_with(max_bytes=800 * KB, min_free_bytes=0)
    outage(spool, range(40, 100))
    assert kept(path) == of_polls(spool)
    spool.close()


def test_recovery_counts_layouts_against_the_limit(path: Path) -> None:
    """Layouts may be most of the new file."""
    spool = open_spool(path, AMPLE)
    outage(spool, range(1, 1001), polls=1)
    spool.close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM facts")
    spool = open_spool(path, limits_with(max_bytes=4 * KB * KB, min_free_bytes=0))
    assert path.stat().st_size < 4.5 * KB * KB
    assert spool.account(OUTPUT).waiting * (POLL_BYTES + LAYOUT_BYTES) > 2.5 * KB * KB
    assert kept(path) == of_polls(spool)
    assert spool.account(OUTPUT).dropped == {
        "the spool is full": 1000 - spool.account(OUTPUT).waiting
    }
    spool.close()


def test_a_failed_commit_does_not_change_the_use_of_layouts(path: Path) -> None:
    """The disk was full when polls were removed: their layout goes with them at the next attempt."""
    tables = Tables(path)
    first, second = layout(1), layout(2)
    with tables.transaction():
        for its in (first, second):
            tables.add([Poll(its.identifier, 1, b"")], {its.identifier: its.packed})
    for fails in (True, False):
        with suppress(LookupError), tables.transaction():
            tables.remove(tables.oldest_id())
            if fails:
                raise LookupError
    tables.close()
    assert kept(path) == {second.identifier}


class Chance:
    """A spool with random operations from a seed."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self._draw = random.Random(seed)
        self._number = 0
        self.spool = self._opened()

    def go_on(self) -> None:
        """Do a random operation."""
        draw, spool = self._draw, self.spool
        match draw.randrange(10):
            case 0:
                spool.close()
                self.spool = self._opened()
            case 1:
                self._fail()
            case 2 | 3 if spool.account(OUTPUT).waiting:
                spool.acknowledge(OUTPUT, draw.choice(spool.oldest(OUTPUT, 20)).id)
            case 4 if spool.account(OUTPUT).waiting:
                spool.set_aside(OUTPUT, draw.choice(spool.oldest(OUTPUT, 20)).id, "refused")
            case _:
                polls = draw.randrange(1, 6)
                keep(spool, self._number + 1, layout(draw.randrange(30)), polls)
                self._number += draw.choice([polls, polls, polls + 300])

    def deliver_all(self) -> str:
        """Store one more poll and deliver all; return its layout."""
        its = layout(0)
        keep(self.spool, self._number + 1, its)
        self.spool.acknowledge(OUTPUT, self.spool.oldest(OUTPUT, 1 << 20)[-1].id)
        return its.identifier

    def _opened(self) -> Spool:
        return open_spool(
            self._path, limits_with(max_bytes=300 * KB, max_age_s=1, min_free_bytes=0)
        )

    def _fail(self) -> None:
        """Fail a commit after its layout was inserted."""
        its = layout(self._draw.randrange(30))
        first = Poll(its.identifier, self._number + 1, b"")
        second = Poll("an unknown layout", self._number + 1, b"")
        with pytest.raises(StorageError):
            self.spool.append(
                [(self._number + 1, first), (self._number + 2, second)],
                {its.identifier: its.packed},
                "c",
            )


@pytest.mark.parametrize("seed", range(10))
def test_no_layout_is_missing_or_left_over(path: Path, seed: int) -> None:
    """Polls of any layout come and go in any way, commits fail, and the spool is reopened."""
    chance = Chance(path, seed)
    for _ in range(200):
        chance.go_on()
        assert of_polls(chance.spool) | of_quarantine(path) <= kept(path)
    last = chance.deliver_all()
    assert kept(path) == of_quarantine(path) | {last}
    chance.spool.close()
