"""Software RAID: the health of each array, from `/proc/mdstat`, see md(4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import FLOAT, INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_RAID: Final = Table(
    "raid", "Software RAID", "raid_", INTEGER,
    (
        Metric("active", INTEGER, "yes or no", "RAID Active",
               "1 if the array can be used, 0 if it is not started."),
        Metric("disks", INTEGER, "disks", "RAID Disks",
               "Disks that the array is made for, without spares."),
        Metric("disks_working", INTEGER, "disks", "RAID Disks (Working)",
               "Disks that hold current data: fewer than `disks` is a degraded array."),
        Metric("disks_failed", INTEGER, "disks", "RAID Disks (Failed)",
               "Disks that failed and were not removed from the array yet."),
        Metric("disks_spare", INTEGER, "disks", "RAID Disks (Spare)",
               "Disks that wait to replace a failed one."),
        Metric("size", INTEGER, "bytes", "RAID Size",
               "Size of the array."),
        Metric("sync_percent", FLOAT, "percent", "RAID Synchronisation",
               "How much of a recovery, resynchronisation, reshape or check is done; "
               "no value while none is going on."),
    ),
    (Label("raid_array", "RAID Array", "The array, such as `md0`.", prometheus="device"),),
    exported={
        "active": Exported("node_md_state", (("state", "active"),)),
        "disks": Exported("node_md_disks_required"),
        "disks_working": Exported("node_md_disks", (("state", "active"),), help="Disks of the array by state."),
        "disks_failed": Exported("node_md_disks", (("state", "failed"),), help="Disks of the array by state."),
        "disks_spare": Exported("node_md_disks", (("state", "spare"),), help="Disks of the array by state."),
        "size": Exported("node_md_blocks", scale=1 / 1024),
    },
)
# fmt: on

TABLES: Final = (_RAID,)

_KIB: Final = 1024
#: The array, and the rest of its line. The lines after it begin with a blank or a tab.
_ARRAY: Final = re.compile(r"^(md[^ :\n]*) : (\w+)([^\n]*)\n((?:[ \t][^\n]*\n)*)", re.MULTILINE)
_MEMBER: Final = re.compile(r" \S+\[[0-9]+\]((?:\([A-Z]\))*)(?= |$)")
_SIZE: Final = re.compile(r"^[ \t]+([0-9]{1,18}) blocks")
_DISKS: Final = re.compile(r" \[([0-9]{1,5})/([0-9]{1,5})\](?: \[[U_]+\])?$", re.MULTILINE)
#: What shows the numbers of disks, whether they are numbers or not.
_NUMBERS: Final = re.compile(r" \[[^\]\n]*/")
_SYNC: Final = re.compile(r"(?:recovery|resync|reshape|check) *= *([0-9]{1,3}\.[0-9]+)%")


def parse(lines: str) -> dict[str, dict[str, Value] | Exception]:
    r"""Return the figures of each array by name, with an exception for one that is not understood.

    >>> text = "md0 : active raid1 sda1[0] sdb1[2](F)\n      64 blocks [2/1] [U_]\n"
    >>> [parse(text)["md0"][name] for name in ("disks", "disks_working", "disks_failed", "size")]
    [2, 1, 1, 65536]
    """
    return {
        name: _array(state, members, details)
        for name, state, members, details in _ARRAY.findall(lines)
    }


def _array(state: str, members: str, details: str) -> dict[str, Value] | Exception:
    marks = _MEMBER.findall(members)
    spare, failed = (sum(mark in each for each in marks) for mark in ("(S)", "(F)"))
    size, disks = _SIZE.search(details), _DISKS.search(details)
    if size is None:
        return ValueError("its lines in /proc/mdstat are damaged; expected its size")
    if disks is None and _NUMBERS.search(details):
        return ValueError("its lines in /proc/mdstat are damaged; expected two numbers of disks")
    is_active = state == "active"
    listed = len(marks) - spare - failed
    # Of levels without redundancy the kernel shows no numbers; they have all disks, or do not work.
    made_for, working = map(int, disks.groups()) if disks else (listed, listed)
    sync = _SYNC.search(details)
    return {
        "active": int(is_active),
        "disks": made_for if disks or is_active else None,
        "disks_working": working if disks or is_active else None,
        "disks_failed": failed,
        # Of an array that is not started, the kernel shows all disks as spare.
        "disks_spare": spare if is_active else None,
        "size": int(size[1]) * _KIB,
        "sync_percent": float(sync[1]) if sync else None,
    }


def sources(_: Plan) -> tuple[Source, ...]:
    """The arrays of the kernel's multiple device driver."""
    return (Rows(_RAID, lambda: parse(host.proc("mdstat")), "the host has no software RAID"),)
