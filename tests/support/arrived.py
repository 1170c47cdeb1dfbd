"""The polls of an agent: those that a server has, and those that wait in its spool."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pattoo_mp.spool.store import Spool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.agent import Agent
    from tests.support.server import PattooServer
    from tests.support.standstill import Gap

#: A poll's time, and the interval that its datapoints name; both in ms.
Sent = tuple[int, int]


def sent(server: PattooServer, key: str = "") -> list[Sent]:
    """What has arrived, in the order in which it did; with a key, the polls that have this one."""
    return [
        found
        for post in server.posts
        for found in dict.fromkeys(
            (point["pattoo_timestamp"], int(point["pattoo_agent_polling_interval"]))
            for point in post.datapoints()
            if key in ("", point["pattoo_key"])
        )
    ]


def kept(agent: Agent, key: str = "") -> list[Sent]:
    """What still waits in the spool of a stopped agent, in order; with a key as above."""
    spool = Spool(agent.spool)
    try:
        polls = [spooled.poll for spooled in spool.oldest(1000)]
        layouts = {poll.layout_id: spool.layout(poll.layout_id) for poll in polls}
    finally:
        spool.close()
    return [
        (poll.timestamp_ms, layouts[poll.layout_id].interval_ms)
        for poll in polls
        if not key or key in {series.key for series in layouts[poll.layout_id].series}
    ]


def book(agent: Agent) -> dict[str, Any]:
    """What a stopped agent has noted of ticks that it missed: `missed` and `gaps`, as in the status."""
    spool = Spool(agent.spool)
    try:
        noted: dict[str, Any] = json.loads(spool.state.book or "{}")
    finally:
        spool.close()
    return {"missed": {}, "gaps": [], **noted}


def assert_every_tick_is_there(polls: list[Sent], gaps: Sequence[Gap] = ()) -> None:
    """Assert that none is missing but in `gaps`, and none comes twice, whatever interval was in force.

    Where the interval changes there must have been a moment with neither a tick of the old one
    between the poll before and that moment, nor one of the new one between it and the poll after.
    """
    told = {gap["before_ms"] for gap in gaps}
    for (before, old), (after, new) in pairwise(polls):
        assert before < after
        assert before % old == 0
        assert after % new == 0
        if after not in told:
            assert after - before == old if new == old else after - new < before + old
