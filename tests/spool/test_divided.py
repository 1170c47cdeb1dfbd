"""Layouts of parts in the spool: each part once, and as long as a poll needs it."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import WireError
from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from tests.support.spools import AMPLE, OUTPUT, limits_with, open_spool

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pattoo_mp.spool.store import Spool

_ORIGIN = Origin("f" * 64, "host")


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


def part(number: int) -> Layout:
    """A part with a series of its own."""
    return Layout(_ORIGIN, 1000, (Series("load", INTEGER, (("disk", f"sd{number}" * 50),)),))


def layout(number: int) -> Layout:
    """The layout of a host that changes one of four parts at each poll."""
    return Layout.of_parts(
        [part(n - n % 4 if n < number - 3 else n) for n in range(number, number + 4)]
    )


def keep(spool: Spool, number: int, its: Layout, known: Collection[str] = ()) -> None:
    """Store a poll with the number and time `number`; parts that are `known` are not given."""
    packed = {p.identifier: p.packed for p in its.parts if p.identifier not in known}
    poll = Poll.of(its, number, [number] * len(its.series))
    spool.append([(number, poll)], {its.identifier: its.packed, **packed}, "c")


def kept(path: Path) -> set[str]:
    """The layouts and parts in the file."""
    with closing(sqlite3.connect(path)) as file:
        return {identifier for (identifier,) in file.execute("SELECT identifier FROM layouts")}


def needed(*layouts: Layout) -> set[str]:
    """What these need."""
    return {i.identifier for its in layouts for i in (its, *its.parts)}


def is_whole(spool: Spool) -> bool:
    """Whether every poll that waits has its layout, with the series and the values that it had."""
    for spooled in spool.oldest(OUTPUT, 1000):
        number = spooled.poll.timestamp_ms
        if spool.layout(spooled.poll.layout_id).series != layout(number).series:
            return False
        if spooled.poll.values() != [number] * 4:
            return False
    return True


def test_parts_are_stored_once_and_go_with_the_last_poll_that_needs_them(path: Path) -> None:
    """A part that was given with an earlier layout is not given again."""
    spool = open_spool(path, AMPLE)
    known: set[str] = set()
    for number in range(1, 11):
        keep(spool, number, layout(number), known)
        known = needed(layout(number))
    assert kept(path) == needed(*map(layout, range(1, 11)))
    assert is_whole(spool)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 6)[-1].id)
    assert kept(path) == needed(*map(layout, range(7, 11)))
    assert is_whole(spool)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 10)[-1].id)
    keep(spool, 11, layout(11), known)
    assert kept(path) == needed(layout(11), layout(10))
    assert is_whole(spool)
    spool.close()


def test_a_spool_that_is_opened_again_knows_which_parts_are_needed(path: Path) -> None:
    """It reads that from the layouts that refer to them."""
    spool = open_spool(path, AMPLE)
    for number in range(1, 11):
        keep(spool, number, layout(number))
    spool.close()
    spool = open_spool(path, AMPLE)
    assert is_whole(spool)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 7)[-1].id)
    assert kept(path) == needed(*map(layout, range(8, 11)))
    keep(spool, 11, layout(11))
    assert is_whole(spool)
    spool.close()


@pytest.mark.parametrize("reopened", [False, True])
def test_parts_stay_for_polls_in_quarantine(path: Path, *, reopened: bool) -> None:
    """And go when these do."""
    spool = open_spool(path, AMPLE)
    for number in range(1, 11):
        keep(spool, number, layout(number))
    spool.set_aside(OUTPUT, spool.oldest(OUTPUT, 1)[0].id, "refused")
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 8)[-1].id)
    if reopened:
        spool.close()
        spool = open_spool(path, AMPLE)
    assert kept(path) == needed(layout(1), layout(10))
    spool.set_aside(OUTPUT, spool.oldest(OUTPUT, 1)[0].id, "refused")
    spool.limits = limits_with(max_bytes=10_000)
    keep(spool, 11, layout(11))
    assert spool.account(OUTPUT).quarantined == 1
    assert layout(1).identifier not in kept(path)
    assert kept(path) >= needed(layout(10), layout(11))
    spool.close()


@pytest.mark.parametrize("how", ["removed", "damaged"])
def test_polls_of_divided_layouts_are_recovered(path: Path, how: str) -> None:
    """With their parts; a poll of a layout with a damaged part is lost, and counted."""
    spool = open_spool(path, AMPLE)
    for number in range(1, 41):
        keep(spool, number, layout(number))
    if how == "removed":
        path.unlink()
        keep(spool, 41, layout(41))
    else:
        spool.close()
        with closing(sqlite3.connect(path)) as file, file:
            damaged = (part(4).identifier,)
            file.execute("UPDATE layouts SET packed = x'00' WHERE identifier = ?", damaged)
            file.execute("DELETE FROM facts")
        spool = open_spool(path, AMPLE)
    assert is_whole(spool)
    assert spool.account(OUTPUT).waiting == (41 if how == "removed" else 36)
    numbers = {spooled.poll.timestamp_ms for spooled in spool.oldest(OUTPUT, 100)}
    assert kept(path) >= needed(*map(layout, numbers))
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 30)[-1].id)
    assert is_whole(spool)
    spool.close()


def test_a_damaged_part_is_told_and_no_other_poll_suffers(path: Path) -> None:
    """The layout of the poll cannot be read then."""
    spool = open_spool(path, AMPLE)
    for number in (1, 21):
        keep(spool, number, layout(number))
    spool.close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM layouts WHERE identifier = ?", (part(2).identifier,))
    spool = open_spool(path, AMPLE)
    with pytest.raises(WireError, match=f"the layout {part(2).identifier} is not in the spool"):
        spool.layout(layout(1).identifier)
    assert spool.layout(layout(21).identifier).series == layout(21).series
    spool.close()


@pytest.mark.parametrize("seed", range(4))
def test_after_any_sequence_every_poll_has_its_layout(path: Path, seed: int) -> None:
    """Divided layouts and others, given out, acknowledged, set aside, and the file opened again."""
    chance = random.Random(seed)
    spool = open_spool(path, AMPLE)
    number = 0
    for _ in range(200):
        action = chance.random()
        if action < 0.6:
            number += 1
            keep(spool, number, layout(number))
        elif action < 0.8 and spool.account(OUTPUT).waiting:
            spool.acknowledge(OUTPUT, chance.choice(spool.oldest(OUTPUT, 5)).id)
        elif action < 0.9 and spool.account(OUTPUT).waiting:
            spool.set_aside(OUTPUT, spool.oldest(OUTPUT, 1)[0].id, "refused")
        elif action > 0.97:
            spool.close()
            spool = open_spool(path, AMPLE)
        assert is_whole(spool)
    spool.close()
