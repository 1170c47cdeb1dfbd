"""Softnet: how each processor keeps up with the packets that network drivers hand over.

From `/proc/net/softnet_stat`, which the kernel writes in hexadecimal, with a line for each processor
that is online. The counters have 32 bits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_SOFTNET: Final = Table(
    "softnet", "Softnet", "softnet_", COUNTER64,
    (
        Metric("processed", COUNTER64, "packets", "Softnet Packets",
               "Packets that the processor took from network drivers."),
        Metric("dropped", COUNTER64, "packets", "Softnet Drops",
               "Packets dropped because the processor's backlog queue was full."),
        Metric("squeezed", COUNTER64, "times", "Softnet Squeezes",
               "Times that the processor had to stop although more packets waited."),
    ),
    (Label("softnet_processor", "CPU (Softnet)", "The logical processor, counted from 0.", prometheus="cpu"),),
    exported={
        "processed": Exported("node_softnet_processed_total"),
        "dropped": Exported("node_softnet_dropped_total"),
        "squeezed": Exported("node_softnet_times_squeezed_total"),
    },
)
# fmt: on

TABLES: Final = (_SOFTNET,)

#: The place of the processor's number, in Linux 5.10 and later.
_NUMBER: Final = 12
_HEX: Final = re.compile(r"[0-9a-f]{1,8}")
_ONLINE: Final = re.compile(r"^cpu([0-9]+) ", re.MULTILINE)


def parse(lines: str, online: Callable[[], list[str]]) -> dict[str, dict[str, Value] | Exception]:
    r"""Return the figures of each processor by number. Raises `ValueError`.

    Older kernels do not write the number: then the lines are those of the processors `online`.

    >>> parse("0000000a 00000000 00000001\n", lambda: ["3"])
    {'3': {'processed': 10, 'dropped': 0, 'squeezed': 1}}
    """
    rows = [line.split() for line in lines.split("\n") if line]
    if all(len(row) > _NUMBER and _HEX.fullmatch(row[_NUMBER]) for row in rows):
        return {str(int(row[_NUMBER], 16)): _figures(row) for row in rows}
    return {number: _figures(row) for number, row in zip(online(), rows, strict=True)}


def _figures(row: list[str]) -> dict[str, Value] | Exception:
    try:
        processed, dropped, squeezed, *_ = map(_count, row)
    except ValueError:
        return ValueError("its line in /proc/net/softnet_stat is damaged")
    return {"processed": processed, "dropped": dropped, "squeezed": squeezed}


def _count(text: str) -> int:
    if not _HEX.fullmatch(text):
        raise ValueError
    return int(text, 16)


def _read() -> dict[str, dict[str, Value] | Exception]:
    return parse(host.net("softnet_stat"), lambda: _ONLINE.findall(host.proc("stat")))


def sources(_: Plan) -> tuple[Source, ...]:
    """The processors that are online."""
    return (Rows(_SOFTNET, _read, "the kernel reports no processor"),)
