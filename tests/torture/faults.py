"""The faults: each is brought and, where it lasts, taken back.

Two tracks run beside each other, one for the server, one for processes and the spool; each draws
from a generator of its own, so a seed gives the same two sequences again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.support.agent import NAME
from tests.support.waiting import wait_for
from tests.torture import server as moods

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.torture.world import World

SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGKILL": signal.SIGKILL}
WHOLE = "whole group"
#: How long the agent may take to put another file in the place of one that was removed.
_SPOOL_S = 15.0
#: Several commits and posts: what is not noticed by then is nothing that the agent reads.
_NOTICE_S = 5.0


@dataclass(frozen=True)
class Fault:
    """`bring` is given the world and the track's generator; `weight` says how often it is drawn."""

    name: str
    bring: Callable[[World, Random], None]
    weight: int = 1


def run_track(
    world: World, name: str, faults: tuple[Fault, ...], *, seed: int, until: float, pause_s: float
) -> None:
    """Bring faults at random until the time is over."""
    draw = Random(f"{seed} {name}")
    while time.monotonic() < until:
        fault = draw.choices(faults, [fault.weight for fault in faults])[0]
        pause = draw.uniform(0, pause_s) if draw.random() < 0.7 else draw.uniform(0, 0.2)
        # What a fault draws must not depend on how far another run came in it.
        of_this = Random(draw.random())
        try:
            world.brought.append(fault.name)
            fault.bring(world, of_this)
        except AssertionError as error:
            world.fail(f"{fault.name}: {error}")
        time.sleep(max(0.0, min(pause, until - time.monotonic())))


# --- the server


def _ill(
    name: str, mood: Callable[[Random], moods.Mood], *, page_too: bool, weight: int = 1
) -> Fault:
    def bring(world: World, draw: Random) -> None:
        seconds = draw.uniform(0.2, 8)
        world.tell(f"server: {name} for {seconds:.2f} s")
        world.server.fall_ill(mood(draw), page_too=page_too)
        time.sleep(seconds)
        world.server.recover()

    return Fault(f"server: {name}", bring, weight)


def _down(world: World, draw: Random) -> None:
    seconds = draw.uniform(0.2, 8)
    world.tell(f"server: refuses connections for {seconds:.2f} s")
    world.server.over.set()
    world.server.down()
    time.sleep(seconds)
    world.server.recover()


_HEAD = b"HTTP/1.1 200 OK\r\n"

SERVER_FAULTS = (
    Fault("server: refuses connections", _down, 3),
    _ill("slow", lambda draw: moods.slow(draw.uniform(0.2, 3)), page_too=True, weight=3),
    _ill("hangs", lambda _: moods.hang, page_too=True, weight=3),
    _ill("resets", lambda _: moods.reset, page_too=True, weight=2),
    _ill("takes posts and loses the answer", lambda _: moods.lose_the_answer, page_too=False),
    _ill("drips", lambda draw: moods.drip(draw.uniform(0.001, 0.05)), page_too=False, weight=2),
    _ill("endless answer", lambda _: moods.endless(_HEAD + b"\r\n", b"OK" * 500), page_too=True),
    _ill("endless head", lambda _: moods.endless(_HEAD, b"X-More: to come\r\n"), page_too=True),
    _ill("garbage", moods.garbage, page_too=True, weight=2),
    _ill(
        "answer cut off",
        lambda draw: moods.literally(moods.OK[: draw.randrange(len(moods.OK) - 1)]),
        page_too=True,
        weight=2,
    ),
    _ill(
        "shorter than announced",
        lambda _: moods.literally(_HEAD + b"Content-Length: 9\r\n\r\nOK"),
        page_too=True,
    ),
    _ill(
        "302", lambda _: moods.status(302, "Location: /pattoo/api/v1/agent/status"), page_too=True
    ),
    _ill("404", lambda _: moods.status(404), page_too=False),
    _ill("413", lambda _: moods.status(413), page_too=False, weight=2),
    _ill(
        "429, retry after 1 s",
        lambda _: moods.status(429, "Retry-After: 1"),
        page_too=False,
        weight=2,
    ),
    _ill("500", lambda _: moods.status(500), page_too=False, weight=2),
    _ill("500, ill", lambda _: moods.status(500), page_too=True, weight=2),
    _ill("503", lambda _: moods.status(503), page_too=True, weight=2),
    _ill(
        "200 with a page",
        lambda _: moods.literally(_HEAD + b"Content-Type: text/html\r\n\r\n" + moods.PAGE),
        page_too=True,
    ),
)


# --- processes


def _ends(world: World, role: str, sent: signal.Signals) -> None:
    """Note which processes this may end."""
    if role == WHOLE:
        world.ended.update(["control", "collector", "uploader"])
        if sent is not signal.SIGKILL:
            world.ended["uploader"] += 1  # one that left before control noticed is replaced
    elif role == "control":
        world.ended.update(["control", "collector", "uploader"])
    else:
        world.ended[role] += 1


def _signalled(role: str, word: str, weight: int = 1) -> Fault:
    number = SIGNALS[word]

    def bring(world: World, _: Random) -> None:
        pid = world.pid("control" if role == WHOLE else role)
        world.tell(f"{word} to the {role} ({pid})")
        _ends(world, role, number)
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if role == WHOLE else os.kill)(pid, number)

    return Fault(f"{word} to the {role}", bring, weight)


def _stopped(role: str) -> Fault:
    def bring(world: World, draw: Random) -> None:
        pid = world.pid("control" if role == WHOLE else role)
        seconds = draw.uniform(0.2, 3)
        send = os.killpg if role == WHOLE else os.kill
        world.tell(f"SIGSTOP to the {role} ({pid}) for {seconds:.2f} s")
        with contextlib.suppress(ProcessLookupError):
            send(pid, signal.SIGSTOP)
            time.sleep(seconds)
            send(pid, signal.SIGCONT)

    return Fault(f"SIGSTOP to the {role}", bring)


# --- people


def _said(*words: str) -> Fault:
    name = f"agent {' '.join(words)}"

    def bring(world: World, _: Random) -> None:
        world.pid("control")
        world.tell(name)
        _ends(world, WHOLE, signal.SIGTERM)
        _command(world, *words)

    return Fault(name, bring)


def _command(world: World, *words: str) -> None:
    done = world.agent.run(*words, timeout=120)
    if done.returncode:
        world.fail(f"{' '.join(words)}: status {done.returncode}: {done.stderr.strip()}")


def _stop_and_start(world: World, draw: Random) -> None:
    seconds = draw.uniform(0.1, 3)
    world.pid("control")
    world.tell(f"agent --stop, and --start after {seconds:.2f} s")
    _ends(world, WHOLE, signal.SIGTERM)
    _command(world, "--stop")
    time.sleep(seconds)
    if world.agent.pid is not None:
        world.fail(f"the agent runs (process {world.agent.pid}) {seconds:.2f} s after --stop")
    _command(world, "--start")


def _reloaded(world: World, draw: Random) -> None:
    """Change a setting and send SIGHUP to the whole group; no process may exit."""
    # Not a setting of the log: the verdict reads all of its lines. No poll here gets this old.
    days = draw.choice([30, 31])
    pid = world.pid("control")
    world.tell(f"spool_max_age {days} d, and SIGHUP to the {WHOLE} ({pid})")
    world.agent.set_own("spool_max_age", str(days * 86_400))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGHUP)


def _supervisorctl_restart(world: World, _: Random) -> None:
    world.pid("control")
    world.tell("supervisorctl restart")
    _ends(world, WHOLE, signal.SIGTERM)
    answer = world.agent.ctl("restart", NAME)
    if "started" not in answer:
        world.fail(f"supervisorctl restart: {answer.strip()}")


# --- the spool


def _on_spool(name: str, damage: Callable[[World, Random], str], *, waits: bool = False) -> Fault:
    """What happens to the file while the uploader has it open.

    Where it `waits`, nothing else happens before the agent has noticed, or had the time to: where
    all the files are gone and everyone who knew what was in them ends, nobody is left to tell.
    """

    def bring(world: World, draw: Random) -> None:
        wait_for(world.has_spool_open, 45, "an uploader with its spool")
        noticed = world.spools_replaced()
        world.tell(f"spool: {name}{damage(world, draw)}")
        if not waits:
            return
        until = time.monotonic() + _NOTICE_S
        while world.spools_replaced() == noticed and time.monotonic() < until:
            time.sleep(0.02)
        replaced = world.spools_replaced() - noticed
        world.tell(f"spool: {'replaced' if replaced else 'goes on as it is'}")
        wait_for(world.has_spool_open, _SPOOL_S, "an uploader with the new spool")

    return Fault(f"spool: {name}", bring)


def _removed(world: World, _: Random) -> str:
    world.agent.spool.unlink(missing_ok=True)
    return ""


def _directory_removed(world: World, _: Random) -> str:
    shutil.rmtree(world.agent.spool.parent, ignore_errors=True)
    return ""


def _file(world: World, draw: Random) -> Path:
    """The file or its journal."""
    journal = world.agent.spool.with_name(world.agent.spool.name + "-wal")
    return journal if draw.random() < 0.3 and journal.exists() else world.agent.spool


def _bytes_changed(world: World, draw: Random) -> str:
    path, number = _file(world, draw), draw.choice([1, 10, 200])
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(number if size else 0):
            file.seek(int(draw.random() * size))
            file.write(draw.randbytes(1))
    return f" ({number} of {size}, {path.suffix})"


def _truncated(world: World, draw: Random) -> str:
    path = _file(world, draw)
    size = path.stat().st_size
    length = int(size * draw.choice([0, draw.random()]))
    os.truncate(path, length)
    return f" (from {size} to {length}, {path.suffix})"


_WORKERS = ("collector", "uploader")
_ALL = (*_WORKERS, "control", WHOLE)

PROCESS_FAULTS = (
    # Two of three faults are kills: they are what the channel and the spool are made for.
    _signalled("uploader", "SIGKILL", 16),
    _signalled("collector", "SIGKILL", 12),
    _signalled("control", "SIGKILL", 8),
    _signalled(WHOLE, "SIGKILL", 4),
    *(_stopped(role) for role in _ALL),
    *(_signalled(role, word) for role in _ALL for word in ("SIGTERM", "SIGINT")),
    Fault("reload", _reloaded, 6),
    Fault("supervisorctl restart", _supervisorctl_restart),
    _said("--restart"),
    _said("--restart", "--force"),
    Fault("agent --stop and --start", _stop_and_start),
)

SPOOL_FAULTS = (
    _on_spool("file removed", _removed),
    _on_spool("directory removed", _directory_removed, waits=True),
    _on_spool("bytes changed", _bytes_changed),
    _on_spool("truncated", _truncated),
)
