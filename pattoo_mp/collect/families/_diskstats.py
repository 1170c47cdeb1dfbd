"""The counters of each disk and partition in `/proc/diskstats`.

See Documentation/admin-guide/iostats.rst in the kernel. psutil gives a part of them, but one line that
it does not understand costs it all disks, and by default it hides that a counter stepped back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.collect.source import Row

#: Whatever the disk's own block size is.
SECTOR_BYTES: Final = 512
#: Device numbers and name, before the figures.
_BEFORE: Final = 3
#: For each number of figures that a line may have, their names. Linux 4.18 added the discards, 5.5 the
#: flushes. Before 2.6.25 a partition had four.
_OF_A_PARTITION: Final = ("reads", "sectors_read", "writes", "sectors_written")
_NAMES: Final = (
    "reads", "reads_merged", "sectors_read", "read_ms",
    "writes", "writes_merged", "sectors_written", "write_ms",
    "in_flight", "busy_ms", "weighted_ms",
    "discards", "discards_merged", "sectors_discarded", "discard_ms",
    "flushes", "flush_ms",
)  # fmt: skip
_WITHOUT_DISCARDS: Final = _NAMES.index("discards")

#: The kernel keeps the number as the difference of two counters. When these are wrong it is below 0,
#: or, as an old kernel writes that, about 4294967295. No queue holds as many.
_MOST_IN_FLIGHT: Final = 1 << 31

Figures = dict[str, "int | Exception"]
Disks = dict[str, "Figures | Exception"]


def parse(lines: str) -> Disks:
    r"""Return the figures of each disk by name, with an exception for a disk whose line is damaged.

    A figure that is not one is an exception, too.

    >>> parse("8 0 sda 1 2 3 4\n8 16 sdb 1 x\n")["sda"]
    {'reads': 1, 'sectors_read': 2, 'writes': 3, 'sectors_written': 4}
    """
    found: Disks = {}
    for line in lines.split("\n"):
        # Not `split()`: the name of a disk may hold a character that Python takes for a blank.
        fields = list(filter(None, line.split(" ")))
        if len(fields) >= _BEFORE:
            found[fields[2]] = _figures(fields[_BEFORE:])
    return found


def _figures(texts: list[str]) -> Figures | Exception:
    names: tuple[str, ...] = _NAMES
    if len(texts) < _WITHOUT_DISCARDS:
        if len(texts) != len(_OF_A_PARTITION):
            return ValueError(
                f"/proc/diskstats has {len(texts)} figures of it; expected 11 or more"
            )
        names = _OF_A_PARTITION
    figures = dict(zip(names, host.counts(texts), strict=False))
    in_flight = figures.get("in_flight")
    if isinstance(in_flight, int) and in_flight >= _MOST_IN_FLIGHT:
        figures["in_flight"] = ValueError(f"{in_flight} requests cannot be in flight")
    return figures


def read() -> Disks:
    """Read and parse the file. Raises `OSError`."""
    return parse(host.proc("diskstats"))


def select(disks: Disks, figures: Iterable[tuple[str, str, int]]) -> dict[str, Row]:
    """Return for each disk its `figures`: our name, the name here, and a factor for each."""
    return {
        disk: found
        if isinstance(found, Exception)
        else {
            ours: figure if isinstance(figure, Exception) else figure * factor
            for ours, theirs, factor in figures
            if (figure := found.get(theirs)) is not None
        }
        for disk, found in disks.items()
    }
