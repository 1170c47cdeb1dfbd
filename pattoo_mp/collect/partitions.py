"""Disk partitions: how full each mounted file system is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect import mounts
from pattoo_mp.collect.source import Sample, Shape
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.collect.together import Together
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Pair, Series, Value

# fmt: off
_USAGE: Final = Table(
    "disk_partitions", "Disk usage", "disk_partition_disk_usage_", INTEGER,
    (
        Metric("total", INTEGER, "bytes", "Disk Size",
               "Size of the file system."),
        Metric("used", INTEGER, "bytes", "Disk Used",
               "What is used of it."),
        Metric("free", INTEGER, "bytes", "Disk Free",
               "What programs can still use; less than the rest, as some is kept for root."),
        Metric("percent", INTEGER, "percent", "Disk Percentage Utilization",
               "The part in use of what programs can use at all."),
    ),
    (
        Label("disk_partition_device", "Device",
              "The device, such as `/dev/sda1`."),
        Label("disk_partition_mountpoint", "Mount Point",
              "The directory that it is mounted at."),
        Label("disk_partition_fstype", "Filesystem Type",
              "The type of the file system, such as `ext4`."),
        Label("disk_partition_opts", "Partition Options",
              "The options that it is mounted with."),
    ),
)
# fmt: on

TABLES: Final = (_USAGE,)


class Partitions:
    """Asks `lister` for the mounts at each poll: they come and go, also between list and question.

    A mount whose device or server is dead may hang, and is waited for no longer than `together`
    waits. A local disk may die as well as a server, so all are asked by another thread. Handing them
    over costs a poll about 0.1 ms of processor time, once, however many they are.
    """

    name = _USAGE.name

    def __init__(self, together: Together, lister: mounts.Lister) -> None:
        self._together = together
        self._lister = lister
        self._mounts: dict[tuple[str, str], Any] = {}
        self._ask = together.part("disk usage", self._places, _usage)

    def wait_at_most(self, limit_s: float) -> None:
        """Change the limit."""
        self._together.limit_s = limit_s

    def read(self) -> Sample:
        """Ask for each mount's usage; one that gives none is left out."""
        shape: list[Any] = []
        values: list[Value] = []
        left_out: dict[str, str] = {}
        for place, usage in self._ask().items():
            if isinstance(usage, Exception):
                left_out[f"{self.name} {self._mounts[place].mountpoint}"] = str(usage)
                continue
            shape.append((self._mounts[place], usage._fields))
            values += usage
        return Sample(tuple(shape), values, left_out)

    def _places(self) -> dict[tuple[str, str], Any]:
        self._mounts = {_place(m): m for m in self._lister() if "docker" not in m.mountpoint}
        return self._mounts

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each figure of each mount."""
        return [
            _USAGE.series(name, (*_description(mount), *host))
            for mount, fields in shape
            for name in fields
        ]


def _place(mount: Any) -> tuple[str, str]:  # noqa: ANN401 - psutil's private tuple type
    """What tells a mount from others, also when it is mounted anew with other options."""
    return mount.device, mount.mountpoint


def _usage(place: tuple[str, str]) -> Any:  # noqa: ANN401 - psutil's private tuple type
    return psutil.disk_usage(place[1])


def _description(mount: Any) -> tuple[Pair, ...]:  # noqa: ANN401 - psutil's private tuple type
    values = (mount.device, mount.mountpoint, mount.fstype, mount.opts)
    return tuple((label.key, value) for label, value in zip(_USAGE.labels, values, strict=True))


def sources(
    limit_s: float, together: Together | None = None, lister: mounts.Lister = mounts.listed
) -> tuple[Source, ...]:
    """How full each mount is; all of them together may take `limit_s` to say so."""
    return (Partitions(together or Together(limit_s), lister),)
