"""Which polls go into the next post: the oldest, as many as one post may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pattoo_mp.model import Layout
    from pattoo_mp.spool.store import Spooled

#: About 1 MB of JSON: a large enough bite to catch up with, and small enough to hold in memory.
DATAPOINTS: Final = 10_000
#: No post holds more polls than this, however small they are.
POLLS: Final = 1_000


def first_post(
    polls: Sequence[Spooled],
    layout: Callable[[str], Layout],
    datapoints: int = DATAPOINTS,
) -> list[Spooled]:
    """The polls of the next post, in order: at least one, if there are any.

    All are of one agent, host and program, since a post says once whose it is. It says its interval
    once, too, but the server never reads that: its ingester (`cache_to_keypairs` in PattooShared's
    `converter.py`, release 0.0.98) takes it from the pairs of each datapoint. So polls of different
    intervals share a post. A poll that is larger than a post may be goes alone.
    """
    chosen: list[Spooled] = []
    room = datapoints
    for spooled in polls:
        this = layout(spooled.poll.layout_id)
        room -= len(this.series)
        if chosen:
            first = layout(chosen[0].poll.layout_id)
            if first.origin != this.origin or room < 0:
                break
        chosen.append(spooled)
    return chosen
