"""A spool that is lost or damaged while a post is under way, whose answer comes afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.spool.polls import LAYOUTS, fill, poll, times
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.spool.store import Spool


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


def overwrite(path: Path) -> None:
    """Overwrite the file and its journal, so that no poll can be read from them."""
    for part in (path, path.with_name(f"{path.name}-wal")):
        with part.open("r+b") as file:
            file.write(b"\xff" * part.stat().st_size)


def reopened(path: Path, last: int) -> Spool:
    """Return a spool with polls 1 to `last`, of which nothing is in the journal."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, last)
    spool.close()
    return open_spool(path, AMPLE)


@pytest.mark.parametrize("delivered", [0, 4])
def test_the_answer_to_a_lost_post_removes_no_later_poll(path: Path, delivered: int) -> None:
    """Its polls are gone from the disk, but their ids are not given again to polls that were never sent."""
    spool = reopened(path, 10)
    if delivered:
        spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, delivered)[-1].id)
    under_way = spool.oldest(OUTPUT, 10)
    overwrite(path)
    fill(spool, 11, 15, "new")
    assert spool.acknowledge(OUTPUT, under_way[-1].id) == 10 - delivered
    assert times(spool) == [11, 12, 13, 14, 15]
    state = spool.state
    assert (
        state.outputs[OUTPUT].delivered,
        state.outputs[OUTPUT].waiting,
        state.outputs[OUTPUT].dropped.total(),
    ) == (10, 5, 0)
    assert state.closes
    spool.close()


def test_ids_go_on_after_those_that_were_delivered(path: Path) -> None:
    """All polls were delivered when the file was lost: an answer that comes twice removes nothing."""
    spool = reopened(path, 10)
    last_id = spool.oldest(OUTPUT, 10)[-1].id
    spool.acknowledge(OUTPUT, last_id)
    overwrite(path)
    fill(spool, 11, 12, "new")
    assert [spooled.id for spooled in spool.oldest(OUTPUT, 5)] == [last_id + 1, last_id + 2]
    assert spool.acknowledge(OUTPUT, last_id) == 0
    assert times(spool) == [11, 12]
    spool.close()


def test_two_losses_during_one_post_are_both_answered(path: Path) -> None:
    """The file is damaged, and then the new one is removed: the polls of the first loss are not forgotten."""
    spool = reopened(path, 6)
    under_way = spool.oldest(OUTPUT, 6)
    overwrite(path)
    fill(spool, 7, 8, "new")
    path.unlink()
    fill(spool, 9, 9, "new")
    assert spool.acknowledge(OUTPUT, under_way[-1].id) == 6
    state = spool.state
    assert (state.outputs[OUTPUT].delivered, state.outputs[OUTPUT].dropped.total()) == (6, 0)
    assert state.closes
    assert times(spool) == [7, 8, 9]
    spool.close()


def test_polls_lost_after_the_last_of_a_post_are_not_delivered_by_it(path: Path) -> None:
    """The answer to a post of four says nothing about the other six that were handed out."""
    spool = reopened(path, 10)
    handed_out = spool.oldest(OUTPUT, 10)
    overwrite(path)
    fill(spool, 11, 11, "new")
    assert spool.acknowledge(OUTPUT, handed_out[3].id) == 4
    state = spool.state
    assert (state.outputs[OUTPUT].delivered, state.outputs[OUTPUT].dropped) == (
        4,
        {"the spool was damaged": 6},
    )
    assert state.closes
    spool.close()


def test_the_first_lost_poll_alone_is_delivered_by_its_own_answer(path: Path) -> None:
    """A post of one poll, which is the last that its answer names."""
    spool = reopened(path, 1)
    (only,) = spool.oldest(OUTPUT, 1)
    overwrite(path)
    fill(spool, 2, 2, "new")
    assert spool.acknowledge(OUTPUT, only.id) == 1
    state = spool.state
    assert (
        state.outputs[OUTPUT].delivered,
        state.outputs[OUTPUT].dropped.total(),
        state.outputs[OUTPUT].waiting,
    ) == (1, 0, 1)
    spool.close()


def test_a_closed_spool_after_a_loss_is_as_it_was_left(path: Path) -> None:
    """The file that replaced the damaged one is sound: the next process does not recover it again."""
    spool = reopened(path, 5)
    overwrite(path)
    fill(spool, 6, 7, "new")
    before = spool.state
    spool.close()
    spool = open_spool(path, AMPLE)
    assert spool.state == before
    assert times(spool) == [6, 7]
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    spool.close()


def test_a_channel_goes_on_where_it_was_after_a_loss(path: Path) -> None:
    """A poll that was kept before the loss comes again from control: it is kept once."""
    spool = reopened(path, 5)
    overwrite(path)
    assert spool.append([(n, poll(n)) for n in range(4, 8)], LAYOUTS, "c") == 2
    state = spool.state
    assert (state.sequence, state.kept, state.kept_of_channel) == (7, 7, 7)
    assert state.closes
    spool.close()
