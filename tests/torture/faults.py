"""The faults. Each is caused and, if it lasts, ended again.

Two tracks run in parallel, one for the server, one for processes and the spool. Each has its own
random generator, so a seed repeats both sequences.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.support.agent import NAME
from tests.support.disks import fill
from tests.support.waiting import wait_for
from tests.torture import server as modes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.torture.world import World

SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGKILL": signal.SIGKILL}
WHOLE = "whole group"
#: The time limit for the agent to replace a file that was removed.
_SPOOL_S = 15.0
#: Time for several commits and posts. Damage that is not noticed by then is where the agent does not read.
_NOTICE_S = 5.0


@dataclass(frozen=True)
class Fault:
    """`bring` causes the fault, with the track's generator; `weight` is how often it is drawn."""

    name: str
    bring: Callable[[World, Random], None]
    weight: int = 1


def run_track(
    world: World, name: str, faults: tuple[Fault, ...], *, seed: int, until: float, pause_s: float
) -> None:
    """Cause random faults until the time `until`."""
    draw = Random(f"{seed} {name}")
    while time.monotonic() < until:
        fault = draw.choices(faults, [fault.weight for fault in faults])[0]
        pause = draw.uniform(0, pause_s) if draw.random() < 0.7 else draw.uniform(0, 0.2)
        # A separate generator, so that the sequence does not depend on how much a fault draws.
        draw_for_fault = Random(draw.random())
        try:
            world.brought.append(fault.name)
            fault.bring(world, draw_for_fault)
        except AssertionError as error:
            world.fail(f"{fault.name}: {error}")
        time.sleep(max(0.0, min(pause, until - time.monotonic())))


# --- the server


def _misbehaves(
    name: str, mode: Callable[[Random], modes.FailureMode], *, page_too: bool, weight: int = 1
) -> Fault:
    def bring(world: World, draw: Random) -> None:
        seconds = draw.uniform(0.2, 8)
        world.tell(f"{world.server_name}: {name} for {seconds:.2f} s")
        world.server.misbehave(mode(draw), page_too=page_too)
        time.sleep(seconds)
        world.server.recover()

    return Fault(f"server: {name}", bring, weight)


def _down(world: World, draw: Random) -> None:
    seconds = draw.uniform(0.2, 8)
    world.tell(f"{world.server_name}: refuses connections for {seconds:.2f} s")
    world.server.over.set()
    world.server.down()
    time.sleep(seconds)
    world.server.recover()


_HEAD = b"HTTP/1.1 200 OK\r\n"

SERVER_FAULTS = (
    Fault("server: refuses connections", _down, 3),
    _misbehaves("slow", lambda draw: modes.slow(draw.uniform(0.2, 3)), page_too=True, weight=3),
    _misbehaves("hangs", lambda _: modes.hang, page_too=True, weight=3),
    _misbehaves("resets", lambda _: modes.reset, page_too=True, weight=2),
    _misbehaves("takes posts and loses the answer", lambda _: modes.lose_answer, page_too=False),
    _misbehaves(
        "drips", lambda draw: modes.drip(draw.uniform(0.001, 0.05)), page_too=False, weight=2
    ),
    _misbehaves(
        "endless answer", lambda _: modes.endless(_HEAD + b"\r\n", b"OK" * 500), page_too=True
    ),
    _misbehaves(
        "endless head", lambda _: modes.endless(_HEAD, b"X-More: to come\r\n"), page_too=True
    ),
    _misbehaves("garbage", modes.garbage, page_too=True, weight=2),
    _misbehaves(
        "answer cut off",
        lambda draw: modes.raw(modes.OK[: draw.randrange(len(modes.OK) - 1)]),
        page_too=True,
        weight=2,
    ),
    _misbehaves(
        "shorter than announced",
        lambda _: modes.raw(_HEAD + b"Content-Length: 9\r\n\r\nOK"),
        page_too=True,
    ),
    _misbehaves(
        "302", lambda _: modes.status(302, "Location: /pattoo/api/v1/agent/status"), page_too=True
    ),
    _misbehaves("cookies", modes.cookies, page_too=True, weight=4),
    _misbehaves("404", lambda _: modes.status(404), page_too=False),
    _misbehaves("413", lambda _: modes.status(413), page_too=False, weight=2),
    _misbehaves(
        "429, retry after 1 s",
        lambda _: modes.status(429, "Retry-After: 1"),
        page_too=False,
        weight=2,
    ),
    _misbehaves("500", lambda _: modes.status(500), page_too=False, weight=2),
    _misbehaves("500, ill", lambda _: modes.status(500), page_too=True, weight=2),
    _misbehaves("503", lambda _: modes.status(503), page_too=True, weight=2),
    _misbehaves(
        "200 with a page",
        lambda _: modes.raw(_HEAD + b"Content-Type: text/html\r\n\r\n" + modes.PAGE),
        page_too=True,
    ),
)


# --- processes


def _count_ends(world: World, role: str, sent: signal.Signals) -> None:
    """Count the processes that this may end."""
    if role == WHOLE:
        world.ended.update(["control", "collector", "uploader"])
        if sent is not signal.SIGKILL:
            world.ended["uploader"] += 1  # one that ends before control notices is replaced
    elif role == "control":
        world.ended.update(["control", "collector", "uploader"])
    else:
        world.ended[role] += 1


def _signalled(role: str, word: str, weight: int = 1) -> Fault:
    number = SIGNALS[word]

    def bring(world: World, _: Random) -> None:
        pid = world.pid("control" if role == WHOLE else role)
        world.tell(f"{word} to the {role} ({pid})")
        _count_ends(world, role, number)
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


def _agent_command(*words: str) -> Fault:
    name = f"agent {' '.join(words)}"

    def bring(world: World, _: Random) -> None:
        world.pid("control")
        world.tell(name)
        _count_ends(world, WHOLE, signal.SIGTERM)
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
    _count_ends(world, WHOLE, signal.SIGTERM)
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
    _count_ends(world, WHOLE, signal.SIGTERM)
    answer = world.agent.ctl("restart", NAME)
    if "started" not in answer:
        world.fail(f"supervisorctl restart: {answer.strip()}")


# --- the spool


def _on_spool(name: str, damage: Callable[[World, Random], str], *, waits: bool = False) -> Fault:
    """Return a fault that damages the file while the uploader has it open.

    If it `waits`, no other fault follows before the agent has noticed, or had time to: if all files are
    gone and each process that knows their content ends, no process is left to report the loss.
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
    """Return the spool or its journal."""
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


def _journal_pinned(world: World, draw: Random) -> None:
    """Read the spool, as a forgotten sqlite3 or a backup does. The uploader may be killed meanwhile."""
    wait_for(world.has_spool_open, 45, "an uploader with its spool")
    seconds = draw.uniform(1, 8)
    world.tell(f"spool: a reader holds the journal for {seconds:.2f} s")
    with contextlib.closing(sqlite3.connect(f"file:{world.agent.spool}?mode=ro", uri=True)) as file:
        with contextlib.suppress(sqlite3.Error):  # damaged, and not replaced yet
            file.execute("BEGIN")
            file.execute("SELECT count(*) FROM polls").fetchone()
        time.sleep(seconds / 2)
        if draw.random() < 0.5:
            _kill(world, "uploader")
        time.sleep(seconds / 2)


# --- the disk


def _kill(world: World, role: str) -> None:
    pid = world.pid("control" if role == WHOLE else role)
    world.tell(f"SIGKILL to the {role} ({pid})")
    _count_ends(world, role, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if role == WHOLE else os.kill)(pid, signal.SIGKILL)


def _disk_full(world: World, draw: Random) -> None:
    """Fill the disk, kill processes or not, and free it, in any order."""
    steps = draw.sample([WHOLE, "control", "uploader", "collector"], draw.randrange(4))
    world.pid("control")
    world.tell("disk: full")
    filler = fill(world.agent.disk)
    freed_after = draw.randrange(len(steps) + 1)
    for number, role in enumerate([*steps, ""]):
        time.sleep(draw.uniform(0, 3))
        if number == freed_after:
            world.tell("disk: freed")
            filler.unlink()
        if role:
            _kill(world, role)
    wait_for(lambda: _has_room(world), 60, "a spool that accepts polls")


def _has_room(world: World) -> bool:
    uploader = world.status().get("workers", {}).get("uploader", {})
    return "spool" not in uploader.get("troubles", {"spool"}) and world.has_spool_open()


# --- the clock


def _clock_set(world: World, draw: Random) -> None:
    seconds = draw.choice([-20, -5, -1, 1, 5, 30])
    world.tell(f"clock: set by {seconds} s")
    world.step_clock(seconds)


_WORKERS = ("collector", "uploader")
_ALL = (*_WORKERS, "control", WHOLE)

PROCESS_FAULTS = (
    # Two of three faults are kills: the channel and the spool exist to survive them.
    _signalled("uploader", "SIGKILL", 16),
    _signalled("collector", "SIGKILL", 12),
    _signalled("control", "SIGKILL", 8),
    _signalled(WHOLE, "SIGKILL", 4),
    *(_stopped(role) for role in _ALL),
    *(_signalled(role, word) for role in _ALL for word in ("SIGTERM", "SIGINT")),
    Fault("reload", _reloaded, 6),
    Fault("supervisorctl restart", _supervisorctl_restart),
    _agent_command("--restart"),
    _agent_command("--restart", "--force"),
    Fault("agent --stop and --start", _stop_and_start),
)

SPOOL_FAULTS = (
    _on_spool("file removed", _removed),
    _on_spool("directory removed", _directory_removed, waits=True),
    _on_spool("bytes changed", _bytes_changed),
    _on_spool("truncated", _truncated),
    Fault("spool: journal pinned", _journal_pinned, 4),
)

DISK_FAULTS = (Fault("disk full", _disk_full, 14),)
CLOCK_FAULTS = (Fault("clock set", _clock_set, 6),)
