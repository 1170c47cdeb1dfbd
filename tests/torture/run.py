"""One run: begin, faults, rest, end, verdict."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from tests.torture.faults import PROCESS_FAULTS, SERVER_FAULTS, SPOOL_FAULTS, run_track
from tests.torture.verdict import Verdict, gather, judge
from tests.torture.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

#: After the last fault: the longest wait of a poster (30 s), and the way to full posts again.
DRAIN_S = 90.0
#: At rest no more than this waits (s): polls of a commit, of a post, and of the one under way.
_REST_S = 3.0
#: What control says is whole only once its uploader has given it the account (s).
_SETTLED_S = 5.0
_PAUSE_S = 3.0


def torture(
    seed: int, seconds: float, hz: float, tell: Callable[[str], None], *, spool: bool, keep: bool
) -> Verdict:
    """Run it all. Whatever happens, nothing is left running."""
    world = World(hz, tell)
    left: list[int] = []
    status: dict[str, Any] = {}
    try:
        world.begin()
        world.tell(f"the first poll is there; agent in {world.home}")
        _bring_faults(world, seed, seconds, spool=spool)
        status = _rest(world)
    finally:
        left = world.end()
    verdict = judge(gather(world, status, left, world.spools_replaced()))
    verdict.rows.insert(0, ("faults", str(len(world.brought))))
    if verdict.failures or keep:
        tell(f"the agent's directory is kept: {world.home}")
    else:
        world.remove()
    return verdict


def _bring_faults(world: World, seed: int, seconds: float, *, spool: bool) -> None:
    until = time.monotonic() + seconds
    others = PROCESS_FAULTS + (SPOOL_FAULTS if spool else ())
    tracks = [
        threading.Thread(
            target=run_track,
            args=(world, name, faults),
            kwargs={"seed": seed, "until": until, "pause_s": _PAUSE_S},
        )
        for name, faults in (("server", SERVER_FAULTS), ("processes", others))
    ]
    for track in tracks:
        track.start()
    for track in tracks:
        track.join()


def _rest(world: World) -> dict[str, Any]:
    """Wait until the backlog is delivered."""
    world.server.recover()
    world.tell("no more faults; waiting for the backlog")
    until = time.monotonic() + DRAIN_S
    while time.monotonic() < until:
        status = world.status()
        if status and _is_at_rest(status, world.interval_ms, max(world.server.book.polls())):
            world.tell("at rest")
            return status
        time.sleep(0.05)
    status = world.status()
    world.fail(
        f"the backlog is not delivered after {DRAIN_S:g} s: {len(world.server.book.polls())} polls "
        f"received, status {status.get('polls')}, {status.get('posts')}"
    )
    return status or {"polls": {"unaccounted": "no answer"}}


def _is_at_rest(status: dict[str, Any], interval_ms: int, newest_ms: int) -> bool:
    polls = status["polls"]
    waits_ms = (polls["in_spool"] + polls["in_channel"]) * interval_ms
    late_ms = polls["last_ms"] - newest_ms
    settled = polls["since_start"] * interval_ms >= _SETTLED_S * 1000
    return bool(settled and max(waits_ms, late_ms) <= _REST_S * 1000)
