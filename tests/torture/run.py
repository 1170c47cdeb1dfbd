"""One run: start, faults, rest, end, verdict."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from pattoo_mp.control.outputs import of_output
from tests.torture.faults import (
    CLOCK_FAULTS,
    DISK_FAULTS,
    PROCESS_FAULTS,
    SERVER_FAULTS,
    SPOOL_FAULTS,
    run_track,
)
from tests.torture.store import FaultyStore
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
    seed: int,
    seconds: float,
    hz: float,
    tell: Callable[[str], None],
    *,
    spool: bool,
    keep: bool,
    outputs: int = 1,
    store: bool = False,
) -> Verdict:
    """Do a whole run. No process is left running in any case.

    With `store`, the posts go to a real receiver, which is killed again and again.
    """
    world = World(hz, tell, outputs, store_seed=seed if store else None)
    left: list[int] = []
    status: dict[str, Any] = {}
    try:
        world.begin()
        world.tell(f"the first poll is there; agent in {world.home}")
        _bring_faults(world, seed, seconds, spool=spool)
        status = _rest(world)
    finally:
        left = world.end()
    verdict = Verdict()
    for name in world.servers:
        own = judge(gather(world.of(name), status, left, world.spools_replaced()))
        several = f"{name}: " if outputs > 1 else ""
        verdict.rows += [(f"{several}{what}", figure) for what, figure in own.rows]
        verdict.failures += [f"{several}{failure}" for failure in own.failures]
    for server in world.servers.values():
        if isinstance(server, FaultyStore):
            server.judge(verdict)
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
    if len(world.servers) > 1 and not world.has_prometheus:
        world.tell("without an output of kind remote_write: prometheus is not installed")
    # Each server has faults of its own: they follow from the seed and the output's place.
    views = [world.of(name) for name in world.servers]
    named = [(view, "server", SERVER_FAULTS, number) for number, view in enumerate(views)]
    tracks = [
        threading.Thread(
            target=run_track,
            args=(view, name, faults),
            kwargs={"seed": seed + number, "until": until, "pause_s": _PAUSE_S},
        )
        for view, name, faults, number in (*named, (world, "processes", others, 0))
    ]
    for track in tracks:
        track.start()
    for track in tracks:
        track.join()


def _rest(world: World) -> dict[str, Any]:
    """Wait until the backlog is delivered."""
    for server in world.servers.values():
        server.recover()
    world.tell("no more faults; waiting for the backlog")
    until = time.monotonic() + DRAIN_S
    while time.monotonic() < until:
        status = world.status()
        if status and all(_is_at_rest(world.of(name), status) for name in world.servers):
            world.tell("at rest")
            return status
        time.sleep(0.05)
    status = world.status()
    world.fail(
        f"the backlog is not delivered after {DRAIN_S:g} s: "
        f"{[len(server.received.polls()) for server in world.servers.values()]} polls received, "
        f"status {status.get('outputs')}"
    )
    return status or {"polls": {"unaccounted": "no answer"}}


def _is_at_rest(world: World, status: dict[str, Any]) -> bool:
    """Whether an output has nearly all polls."""
    polls, interval_ms = of_output(status, world.output)["polls"], world.interval_ms
    newest_ms = max(world.server.received.polls())
    waits_ms = (polls["in_spool"] + polls["in_channel"]) * interval_ms
    late_ms = polls["last_ms"] - newest_ms
    settled = polls["since_start"] * interval_ms >= _SETTLED_S * 1000
    return bool(settled and max(waits_ms, late_ms) <= _REST_S * 1000)
