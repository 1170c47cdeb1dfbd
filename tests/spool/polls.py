"""Polls for tests, told apart by their times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from tests.support.spools import OUTPUT

if TYPE_CHECKING:
    from pattoo_mp.spool.store import Spool

LAYOUT = Layout(Origin("f" * 64, "host"), 1000, (Series("load", INTEGER),))
OTHER = Layout(Origin("f" * 64, "host"), 1000, (Series("load", INTEGER), Series("n", INTEGER)))
LAYOUTS = {layout.identifier: layout.packed for layout in (LAYOUT, OTHER)}
EVERYTHING = 1_000_000


def poll(number: int, layout: Layout = LAYOUT) -> Poll:
    """Return a poll with the time `number`."""
    return Poll.of(layout, number, [number] * len(layout.series))


def polls(first: int, last: int) -> list[tuple[int, Poll]]:
    """Return polls from `first` to `last`, with equal sequence numbers and times."""
    return [(number, poll(number)) for number in range(first, last + 1)]


def fill(spool: Spool, first: int, last: int, channel: str = "c") -> int:
    """Append the polls `first` to `last`."""
    return spool.append(polls(first, last), LAYOUTS, channel)


def times(spool: Spool) -> list[int]:
    """Return the times of the polls in the spool."""
    return [spooled.poll.timestamp_ms for spooled in spool.oldest(OUTPUT, EVERYTHING)]
