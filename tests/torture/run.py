"""One run: start, faults, rest, end, verdict."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.torture.faults import (
    CLOCK_FAULTS,
    DISK_FAULTS,
    PROCESS_FAULTS,
    SERVER_FAULTS,
    SPOOL_FAULTS,
    run_track,
)
from tests.torture.verdict import Verdict, gather, judge
from tests.torture.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

#: Time after the last fault: the longest back-off (30 s), and the return to full posts.
DRAIN_S = 90.0
#: At rest at most this much waits (s): polls for a commit, for a post, and of a post under way.
_REST_S = 3.0
#: Control's status is complete only after its uploader has sent it the account (s).
_SETTLED_S = 5.0
_PAUSE_S = 3.0


def torture(
    seed: int, seconds: float, hz: float, tell: Callable[[str], None], *, spool: bool, keep: bool
) -> Verdict:
    """Do a whole run. No process is left running in any case."""
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
    kinds = Counter(name.partition(":")[0].partition(" to ")[0] for name in world.brought)
    words = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    verdict.rows.insert(0, ("faults", f"{len(world.brought)} ({words})"))
    if verdict.failures or keep:
        tell(f"the agent's directory is kept: {world.home}")
    else:
        world.remove()
    return verdict


def _bring_faults(world: World, seed: int, seconds: float, *, spool: bool) -> None:
    until = time.monotonic() + seconds
    others = PROCESS_FAULTS + (SPOOL_FAULTS if spool else ())
    for may, faults, words in (
        (world.has_disk, DISK_FAULTS, "only root may mount a small disk"),
        (world.has_clock, CLOCK_FAULTS, "a C compiler is needed to set the agent's clock"),
    ):
        others += faults if may else ()
        if not may:
            world.tell(f"without {faults[0].name}: {words}")
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
        if status and _is_at_rest(status, world.interval_ms, max(world.server.received.polls())):
            world.tell("at rest")
            return status
        time.sleep(0.05)
    status = world.status()
    world.fail(
        f"the backlog is not delivered after {DRAIN_S:g} s: {len(world.server.received.polls())} polls "
        f"received, status {status.get('polls')}, {status.get('posts')}"
    )
    return status or {"polls": {"unaccounted": "no answer"}}


def _is_at_rest(status: dict[str, Any], interval_ms: int, newest_ms: int) -> bool:
    polls = status["polls"]
    waits_ms = (polls["in_spool"] + polls["in_channel"]) * interval_ms
    late_ms = polls["last_ms"] - newest_ms
    settled = polls["since_start"] * interval_ms >= _SETTLED_S * 1000
    return bool(settled and max(waits_ms, late_ms) <= _REST_S * 1000)
