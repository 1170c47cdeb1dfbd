"""The share of the spool that quarantine may take."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from tests.spool.polls import LAYOUT, LAYOUTS
from tests.support.spools import AMPLE, OUTPUT, limits_with, open_spool

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.spool.store import Spool

POLL_BYTES = 2000
LIMITS = limits_with(max_bytes=400_000)
FULL = "the quarantine is full"


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


def keep(spool: Spool, number: int, layout: Layout = LAYOUT) -> None:
    """Store a poll with that time."""
    one = Poll(layout.identifier, number, os.urandom(POLL_BYTES))
    spool.append([(number, one)], {layout.identifier: layout.packed}, "c")


def refuse(spool: Spool, first: int, last: int) -> None:
    """Store these polls and quarantine each of them."""
    for number in range(first, last + 1):
        keep(spool, number)
        spool.set_aside(OUTPUT, spool.oldest(OUTPUT, 1)[0].id, "refused")


def set_aside(path: Path) -> list[int]:
    """Return the times of the polls in quarantine."""
    with closing(sqlite3.connect(path)) as file:
        return [ms for (ms,) in file.execute("SELECT timestamp_ms FROM quarantine ORDER BY id")]


def test_quarantine_is_limited_to_a_tenth_of_the_spool(path: Path) -> None:
    """The newest stay for an operator to look at; the others are counted, and the account closes."""
    spool = open_spool(path, LIMITS)
    refuse(spool, 1, 100)
    left = set_aside(path)
    assert 0.8 * 40_000 < len(left) * POLL_BYTES <= 40_000
    assert left == list(range(101 - len(left), 101))
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].quarantined) == (100, len(left))
    assert state.outputs[OUTPUT].dropped == {FULL: 100 - len(left)}
    assert state.closes
    spool.close()
    spool = open_spool(path, LIMITS)
    assert spool.state == state
    spool.close()


def test_waiting_polls_keep_their_room(path: Path) -> None:
    """However many polls were quarantined before."""
    spool = open_spool(path, LIMITS)
    refuse(spool, 1, 150)
    for number in range(151, 281):
        keep(spool, number)
    assert spool.account(OUTPUT).waiting == 130
    assert set(spool.account(OUTPUT).dropped) == {FULL}
    spool.close()


@pytest.mark.parametrize("reopened", [False, True])
def test_too_large_a_quarantine_shrinks_with_the_next_poll(path: Path, *, reopened: bool) -> None:
    """The limit was lowered, or an earlier release had none."""
    spool = open_spool(path, AMPLE)
    refuse(spool, 1, 100)
    assert spool.account(OUTPUT).quarantined == 100
    if reopened:
        spool.close()
        spool = open_spool(path, LIMITS)
    spool.limits = LIMITS
    keep(spool, 101)
    assert spool.account(OUTPUT).quarantined * POLL_BYTES <= 40_000
    assert spool.account(OUTPUT).dropped == {FULL: 100 - spool.account(OUTPUT).quarantined}
    assert spool.state.closes
    spool.close()


def test_layouts_of_quarantined_polls_count(path: Path) -> None:
    """With a host whose series change with each poll, their layouts are bounded, too."""
    spool = open_spool(path, LIMITS)
    for number in range(1, 51):
        series = (Series("load", INTEGER, (("name", f"{number:05}" * 2000),)),)
        keep(spool, number, Layout(Origin("f" * 64, "host"), 1000, series))
        spool.set_aside(OUTPUT, spool.oldest(OUTPUT, 1)[0].id, "refused")
    assert 1 < spool.account(OUTPUT).quarantined < 4  # with about 12 kB each, a tenth of 400 kB
    assert spool.account(OUTPUT).dropped == {FULL: 50 - spool.account(OUTPUT).quarantined}
    spool.close()


def test_quarantined_polls_have_no_age_limit(path: Path) -> None:
    """Quarantined polls wait for an operator, not for the server."""
    spool = open_spool(path, limits_with(max_age_s=1))
    refuse(spool, 1, 3)
    spool.append([(4, Poll(LAYOUT.identifier, 100_000, b""))], LAYOUTS, "c")
    assert spool.account(OUTPUT).quarantined == 3
    assert spool.account(OUTPUT).dropped == {}
    spool.close()


def test_the_newest_quarantined_poll_stays(path: Path) -> None:
    """Even if it is larger than the share, so that there is something to look at."""
    spool = open_spool(path, limits_with(max_bytes=10_000))
    refuse(spool, 1, 3)
    assert set_aside(path) == [3]
    assert spool.account(OUTPUT).dropped == {FULL: 2}
    spool.close()
