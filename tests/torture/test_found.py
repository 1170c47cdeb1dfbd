"""What long runs have found, each in small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.model import Poll
from pattoo_mp.spool.store import Spool
from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, poll, times

if TYPE_CHECKING:
    from pathlib import Path


def test_a_post_under_way_is_acknowledged_by_its_polls_after_a_rescue(home: Path) -> None:
    """The file is removed while a post waits for its answer: that acknowledges the same polls."""
    path = home / "spool.sqlite"
    spool = Spool(path)
    spool.append([(n, poll(n)) for n in range(1, 101)], LAYOUTS, "c")
    spool.acknowledge(spool.oldest(50)[-1].id)
    under_way = spool.oldest(10)
    path.unlink()
    spool.append([(101, poll(101))], LAYOUTS, "c")
    assert spool.acknowledge(under_way[-1].id) == 10
    assert times(spool) == list(range(61, 102))
    assert spool.state.delivered == 60
    spool.close()


def test_a_post_under_way_is_counted_though_its_polls_were_lost_meanwhile(home: Path) -> None:
    """The file is emptied while a post waits for its answer: that counts, and no later poll."""
    path = home / "spool.sqlite"
    spool = Spool(path)
    large = [(n, Poll(LAYOUT.identifier, n, bytes(20_000))) for n in range(1, 101)]
    spool.append(large, LAYOUTS, "c")
    under_way = spool.oldest(EVERYTHING)
    for part in (path, path.with_name(path.name + "-wal")):
        part.write_bytes(b"")
    spool.append([(101, poll(101))], LAYOUTS, "c")
    assert spool.state.dropped.total() > 50
    spool.acknowledge(under_way[49].id)
    state = spool.state
    assert state.delivered == 50
    assert state.kept == 101 == 50 + state.waiting + state.dropped.total()
    assert times(spool)[-1] == 101
    spool.close()


def test_many_polls_are_read_from_a_file_that_was_removed_but_for_its_journal(home: Path) -> None:
    """More than one batch of them: the journal of the removed file is not that of the new one."""
    path = home / "spool.sqlite"
    spool = Spool(path)
    spool.append([(n, poll(n)) for n in range(1, 1201)], LAYOUTS, "c")
    path.unlink()
    spool.append([(1201, poll(1201))], LAYOUTS, "c")
    assert times(spool) == list(range(1, 1202))
    assert spool.state.dropped.total() == 0
    spool.close()
