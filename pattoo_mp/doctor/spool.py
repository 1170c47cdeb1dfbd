"""How long an outage of the server the spool holds on this host, and which limit ends it."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.config import host_checks
from pattoo_mp.doctor.files import SPOOL_BYTES, free_bytes
from pattoo_mp.doctor.finding import Finding, note, trouble, well
from pattoo_mp.errors import KeyringError
from pattoo_mp.spool.limits import ALWAYS_BYTES
from pattoo_mp.spool.tables import Tables
from pattoo_mp.upload.pattoo.encrypted.known import FILE, KnownServers
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config
    from pattoo_mp.model import Layout, Poll


#: Enough that what a file has besides its polls does not count.
_POLLS: Final = 1000
#: As `pattoo_mp.spool.recovery.put_aside` names a file: why, and when.
_ASIDE: Final = re.compile(r"\.([a-z-]+-\d{8}T\d{6}|\d+)")
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Room:
    """What the spool has, and what its disk leaves it (bytes); `aside` are spools put aside."""

    used_bytes: int
    free_bytes: int
    aside: tuple[str, ...] = ()


def room_on_disk(spool: Path) -> Room:
    """Look at the file and its disk, without opening it: an agent may be using it."""
    parts = [spool.with_name(spool.name + part) for part in ("", "-wal")]
    beside = (path.name for path in spool.parent.glob(f"{spool.name}.*"))
    aside = [name for name in beside if _ASIDE.fullmatch(name.removeprefix(spool.name))]
    return Room(
        sum(part.stat().st_size for part in parts if part.exists()),
        free_bytes(spool),
        tuple(sorted(aside)),
    )


def bytes_a_poll(layout: Layout, poll: Poll) -> float:
    """What a poll takes in a spool: written to one that is thrown away, and measured."""
    with tempfile.TemporaryDirectory() as directory:
        tables = Tables(Path(directory) / "spool.sqlite")
        with tables.transaction():
            tables.add([poll], {layout.identifier: layout.packed})
        before = tables.used_bytes()
        with tables.transaction():
            tables.add([poll] * _POLLS, {})
        taken = tables.used_bytes() - before
        tables.close()
    return taken / _POLLS


def room_findings(config: Config, room: Room) -> Iterator[Finding]:
    """The room on the spool's disk, and what was put aside beside it."""
    directory = config.cache_directory
    found = f"{text.size(room.free_bytes)} free, {text.size(room.used_bytes)} used by the spool"
    scarce = _scarce(config, room)
    if scarce:
        yield note("disk", f"{found}; {scarce}", _make_room(config))
    else:
        yield well("disk", found)
    if room.aside:
        yield note(
            "put aside",
            f"{', '.join(room.aside)} in {directory}",
            "pattoo.log says why, and how much was saved of it; remove it when you need it no more",
        )


def outage_finding(config: Config, room: Room, poll_bytes: float) -> Finding:
    """How long an outage may last from now on; `poll_bytes` are kept in each polling_interval."""
    if room.free_bytes < SPOOL_BYTES:
        return trouble(
            "outage",
            "none is survived: its disk is full, and polls wait in memory",
            f"make room on the disk of {config.cache_directory}",
        )
    held_s, (limit, advice) = held(config, room, poll_bytes)
    found = (
        f"{text.duration(held_s)} without the server, {text.size(poll_bytes)} every "
        f"{config.interval_ms / 1000:g} s; {limit}"
    )
    if held_s >= _DAY_S:
        return well("outage", found)
    if held_s >= _HOUR_S:
        return note("outage", found, advice)
    return trouble("outage", found, advice)


def held(config: Config, room: Room, poll_bytes: float) -> tuple[float, tuple[str, str]]:
    """For how many seconds from now polls are kept, and the limit that comes first.

    The limit is given with what a person may do about it.
    """
    bytes_a_second = poll_bytes * 1000 / config.interval_ms
    to_limit = max(0, config.spool_max_bytes - room.used_bytes)
    above = room.free_bytes - config.spool_min_free_bytes
    always = max(0, min(room.free_bytes, ALWAYS_BYTES - room.used_bytes))
    scarce = _scarce(config, room)
    its_disk = f"{scarce}, and ends it" if scarce else "its disk ends it"
    limits = {
        ("spool_max_age ends it", "raise spool_max_age"): float(config.spool_max_age),
        ("spool_max_bytes ends it", "raise spool_max_bytes"): to_limit / bytes_a_second,
        (its_disk, _make_room(config)): max(above, always) / bytes_a_second,
    }
    first = min(limits, key=lambda limit: limits[limit])
    return limits[first], first


def _scarce(config: Config, room: Room) -> str:
    """That the disk has not what has to stay free there; empty if it has."""
    if room.free_bytes >= config.spool_min_free_bytes:
        return ""
    return f"spool_min_free_bytes ({text.size(config.spool_min_free_bytes)}) is more than is free"


def _make_room(config: Config) -> str:
    return f"make room on the disk of {config.cache_directory}, or lower spool_min_free_bytes"


# What encrypted mode needs: GnuPG, the agent's key, and the keys of servers that it knows.


def key_findings(config: Config, agent_id: str) -> Iterator[Finding]:
    """A line for each; the keys are only looked at."""
    missing = host_checks.missing_for_encryption()
    if missing:
        yield trouble("gpg", missing, "install it, or set encrypted to false")
    else:
        yield well("gpg", "is there, and so is python-gnupg")
    keys = paths.keys_directory(config)
    named = [path.name.partition("-")[0] for path in keys.glob(f"*-{agent_id}")]
    yield well("our key", ", ".join(named) or "none yet; it is made before the first post")
    try:
        known = KnownServers(keys / FILE).all()
    except KeyringError as error:
        yield trouble(
            "servers' keys",
            str(error),
            "correct that line, or remove it to believe the next key; the file has to be the agent's user's",
        )
        return
    for url, fingerprint in known.items():
        yield well("server's key", f"{fingerprint}, of {url}")
