"""Check the spool and the keys: disk space, how long an outage may last, and encryption."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.config import host_checks
from pattoo_mp.doctor.files import SPOOL_BYTES, free_bytes
from pattoo_mp.doctor.finding import Finding, note, ok, trouble
from pattoo_mp.errors import KeyringError
from pattoo_mp.program import this_program
from pattoo_mp.spool.limits import GUARANTEED_BYTES
from pattoo_mp.spool.tables import Tables
from pattoo_mp.upload.pattoo.encrypted.known import FILE, KnownServers
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config
    from pattoo_mp.model import Layout, Poll


#: Enough polls that the rest of the file does not matter.
_POLLS: Final = 1000
#: The suffix that `pattoo_mp.spool.recovery.put_aside` gives a file: why, and when.
_SET_ASIDE: Final = re.compile(r"\.([a-z-]+-\d{8}T\d{6}|\d+)")
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """The bytes that the spool uses, the bytes free on its disk, and the names of spools set aside."""

    used_bytes: int
    free_bytes: int
    set_aside: tuple[str, ...] = ()


def disk_usage(spool: Path) -> DiskUsage:
    """Return the disk usage of a spool, without opening it: an agent may be using it."""
    parts = [spool.with_name(spool.name + part) for part in ("", "-wal")]
    names = (path.name for path in spool.parent.glob(f"{spool.name}.*"))
    set_aside = [name for name in names if _SET_ASIDE.fullmatch(name.removeprefix(spool.name))]
    return DiskUsage(
        sum(part.stat().st_size for part in parts if part.exists()),
        free_bytes(spool),
        tuple(sorted(set_aside)),
    )


def bytes_per_poll(layout: Layout, poll: Poll, cache: Path | None = None) -> float:
    """Return the bytes that a poll takes in a spool, measured by writing it to a temporary one.

    It is in `cache`, the agent's directory, if the host has no directory for temporary files.
    """
    with tempfile.TemporaryDirectory(dir=_temporary(cache)) as directory:
        tables = Tables(Path(directory) / "spool.sqlite")
        with tables.transaction():
            tables.add([poll], {layout.identifier: layout.packed})
        before = tables.used_bytes()
        with tables.transaction():
            tables.add([poll] * _POLLS, {})
        taken = tables.used_bytes() - before
        tables.close()
    return taken / _POLLS


def _temporary(cache: Path | None) -> Path | None:
    """Return where to make a temporary directory; None for the host's directory."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:  # a read-only root without /tmp
        return cache
    return None


def disk_findings(config: Config, usage: DiskUsage) -> Iterator[Finding]:
    """Yield a finding on the spool's disk, and one on the spools set aside there."""
    directory = config.cache_directory
    found = f"{text.size(usage.free_bytes)} free, {text.size(usage.used_bytes)} used by the spool"
    shortage = _shortage(config, usage)
    if shortage:
        yield note("disk", f"{found}; {shortage}", _make_room(config))
    else:
        yield ok("disk", found)
    if usage.set_aside:
        yield note(
            "put aside",
            f"{', '.join(usage.set_aside)} in {directory}",
            f"{this_program().log_name} says why, and how much of it was recovered; remove it when you no longer need it",
        )


def outage_finding(config: Config, usage: DiskUsage, poll_bytes: float) -> Finding:
    """Return how long an outage of the server may last; each `polling_interval` adds `poll_bytes`."""
    if usage.free_bytes < SPOOL_BYTES:
        return trouble(
            "outage",
            "the spool cannot keep polls: its disk is full, and they wait in memory",
            f"make room on the disk of {config.cache_directory}",
        )
    seconds, (limit, advice) = outage_limit(config, usage, poll_bytes)
    found = (
        f"{text.duration(seconds)} without {_server(config)}, {text.size(poll_bytes)} every "
        f"{config.interval_ms / 1000:g} s; {limit}"
    )
    if seconds >= _DAY_S:
        return ok("outage", found)
    if seconds >= _HOUR_S:
        return note("outage", found, advice)
    return trouble("outage", found, advice)


def _server(config: Config) -> str:
    """What may be away: a poll stays in the spool until the last output has it."""
    names = [output.name for output in config.outputs]
    return f"any of the outputs {', '.join(names)}" if len(names) > 1 else "the server"


def outage_limit(
    config: Config, usage: DiskUsage, poll_bytes: float
) -> tuple[float, tuple[str, str]]:
    """Return for how many seconds the spool keeps polls, the limit reached first, and advice on it."""
    bytes_per_s = poll_bytes * 1000 / config.interval_ms
    to_limit = max(0, config.spool_max_bytes - usage.used_bytes)
    above = usage.free_bytes - config.spool_min_free_bytes
    always = max(0, min(usage.free_bytes, GUARANTEED_BYTES - usage.used_bytes))
    shortage = _shortage(config, usage)
    disk_limit = f"{shortage}, so that is the limit" if shortage else "the disk is the limit"
    limits = {
        ("spool_max_age is the limit", "raise spool_max_age"): float(config.spool_max_age),
        ("spool_max_bytes is the limit", "raise spool_max_bytes"): to_limit / bytes_per_s,
        (disk_limit, _make_room(config)): max(above, always) / bytes_per_s,
    }
    first = min(limits, key=lambda limit: limits[limit])
    return limits[first], first


def _shortage(config: Config, usage: DiskUsage) -> str:
    """Return that less is free on the disk than has to stay free; empty if it is not so."""
    if usage.free_bytes >= config.spool_min_free_bytes:
        return ""
    return f"less than spool_min_free_bytes ({text.size(config.spool_min_free_bytes)}) is free"


def _make_room(config: Config) -> str:
    return f"make room on the disk of {config.cache_directory}, or lower spool_min_free_bytes"


# Encrypted mode: GnuPG, the agent's key, and the known keys of servers.


def key_findings(config: Config, agent_id: str) -> Iterator[Finding]:
    """Yield findings on GnuPG, the agent's key and each server's key. No key is changed."""
    missing = host_checks.missing_for_encryption()
    if missing:
        yield trouble("gpg", missing, "install it, or set encrypted to false")
    else:
        yield ok("gpg", "installed, with python-gnupg")
    keys = paths.keys_directory(config)
    named = [path.name.partition("-")[0] for path in keys.glob(f"*-{agent_id}")]
    yield ok("our key", ", ".join(named) or "none yet; the agent makes it before its first post")
    try:
        known = KnownServers(keys / FILE).all()
    except KeyringError as error:
        yield trouble(
            "servers' keys",
            str(error),
            "correct that line, or remove it to trust the next key; the agent's user must own the file",
        )
        return
    for url, fingerprint in known.items():
        yield ok("server's key", f"{fingerprint}, of {url}")
