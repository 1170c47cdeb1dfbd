"""The polls of an agent: those that a server received, and those that wait in the spool."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.support.server import TEXT
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.agent import Agent
    from tests.support.server import PattooServer
    from tests.support.standstill import Gap

#: The time and the interval of a poll, in ms.
Sent = tuple[int, int]


def sent(server: PattooServer, key: str = "") -> list[Sent]:
    """Return the polls that a server received, in order of arrival; with `key`, only those that contain it."""
    return [
        found
        for post in server.posts
        for found in dict.fromkeys(
            (point["pattoo_timestamp"], int(point["pattoo_agent_polling_interval"]))
            for point in post.datapoints()
            if point["pattoo_data_type"] != TEXT and key in ("", point["pattoo_key"])
        )
    ]


def kept(agent: Agent, key: str = "") -> list[Sent]:
    """Return the polls in the spool of a stopped agent, in order; with `key`, only those that contain it."""
    spool = open_spool(agent.spool, AMPLE)
    try:
        polls = [spooled.poll for spooled in spool.oldest(OUTPUT, 1000)]
        layouts = {poll.layout_id: spool.layout(poll.layout_id) for poll in polls}
    finally:
        spool.close()
    return [
        (poll.timestamp_ms, layouts[poll.layout_id].interval_ms)
        for poll in polls
        if not key or key in {series.key for series in layouts[poll.layout_id].series}
    ]


def book(agent: Agent) -> dict[str, Any]:
    """Return the ledger snapshot of a stopped agent: `missed` and `gaps`, as in the status."""
    spool = open_spool(agent.spool, AMPLE)
    try:
        noted: dict[str, Any] = json.loads(spool.state.book or "{}")
    finally:
        spool.close()
    return {"missed": {}, "gaps": [], **noted}


def assert_every_tick_is_there(polls: list[Sent], gaps: Sequence[Gap] = ()) -> None:
    """Assert that no tick is missing except in `gaps`, and none comes twice, across changes of interval.

    Where the interval changes, some moment must separate the old ticks from the new: no old tick is
    between the poll before and that moment, and no new one between it and the poll after.
    """
    in_gaps = {gap["before_ms"] for gap in gaps}
    for (before, old), (after, new) in pairwise(polls):
        assert before < after
        assert before % old == 0
        assert after % new == 0
        if after not in in_gaps:
            assert after - before == old if new == old else after - new < before + old
