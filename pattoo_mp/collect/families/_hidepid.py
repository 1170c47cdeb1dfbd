"""Whether `/proc` shows the agent all processes: its mount option `hidepid` may hide those of others.

See proc(5). With `hidepid=1` all processes are listed, but the files of other users' processes cannot be
read. With 2 or 4 those processes are not even listed: a count would look right and be far too low.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Final

import psutil

from pattoo_mp.collect import host, mounts
from pattoo_mp.collect.host import FIRST_PROCESS, OWN

_LEVELS: Final = {"1": 1, "noaccess": 1, "2": 2, "invisible": 2, "4": 4, "ptraceable": 4}
#: From <linux/capability.h>. It exempts from every level.
_CAP_SYS_PTRACE: Final = 19
#: The group that the option `gid=` exempts, up to this level. The kernel does not show its default, 0.
_LAST_WITH_GROUP: Final = 2
#: A person may mount /proc with other options while the agent runs. Reading them takes long where there
#: are thousands of mounts.
_AT_LEAST_EVERY_S: Final = 60


def check_listed() -> None:
    """Raise `PermissionError`, which says how to allow it, if some processes are not listed."""
    _check(2)


def check_readable() -> None:
    """Raise `PermissionError`, which says how to allow it, if not all processes can be read."""
    _check(1)


def _check(lowest: int) -> None:
    try:
        os.stat(f"{psutil.PROCFS_PATH}/{FIRST_PROCESS}")  # noqa: PTH116 - in every poll
    except FileNotFoundError:
        raise PermissionError(refusal("does not even show process 1")) from None
    level = hiding_level(psutil.PROCFS_PATH, int(time.monotonic()) // _AT_LEAST_EVERY_S)
    if level >= lowest:
        raise PermissionError(refusal(f"is mounted with hidepid={level}", with_group=level <= 2))


def refusal(how: str, *, with_group: bool = True) -> str:
    """Return the note for a person: what is so, and what would allow the agent to see all."""
    group = "its mount option gid= with a group of the agent's user, or " if with_group else ""
    return (
        f"{psutil.PROCFS_PATH} {how}, so that processes of other users are hidden; "
        f"expected {group}the capability CAP_SYS_PTRACE for the agent"
    )


@lru_cache(maxsize=1)
def hiding_level(procfs: str, _period: int) -> int:
    """Return the level of `hidepid` that applies to this process; 0 if it sees all, or if unknown."""
    try:
        table = mounts.parse(host.text(OWN.procfs / "self" / "mounts"))
        place = str(Path(procfs).resolve())
    except OSError:
        return 0
    # Of several that are mounted at one place the last is on top.
    options = next((mount.opts for mount in reversed(table) if mount.mountpoint == place), "")
    level, group = parse(options)
    return 0 if _is_exempt(level, group) else level


def parse(options: str) -> tuple[int, int]:
    """Return the level of `hidepid` and the exempt group that the options of a mount say.

    >>> parse("rw,relatime,gid=27,hidepid=invisible"), parse("rw,relatime")
    ((2, 27), (0, 0))
    """
    pairs = dict(option.partition("=")[::2] for option in options.split(","))
    group = pairs.get("gid", "")
    return _LEVELS.get(pairs.get("hidepid", ""), 0), int(group) if group.isdecimal() else 0


def _is_exempt(level: int, group: int) -> bool:
    in_group = group in {os.getegid(), *os.getgroups()}
    return (in_group and level <= _LAST_WITH_GROUP) or _may_trace()


def _may_trace() -> bool:
    try:
        status = host.text(OWN.procfs / "self" / "status")
    except OSError:
        return False
    effective = status.partition("\nCapEff:")[2].partition("\n")[0].strip()
    return bool(int(effective or "0", 16) >> _CAP_SYS_PTRACE & 1)
