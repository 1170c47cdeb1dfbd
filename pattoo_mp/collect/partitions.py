"""Disk partitions: how full each mounted file system is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from pattoo_mp.collect.source import Sample, Shape
from pattoo_mp.model import INTEGER, Series

if TYPE_CHECKING:
    from pattoo_mp.model import Pair, Value

_PREFIX = "disk_partition_disk_usage_"


class Partitions:
    """Asks for the mounts anew at each poll: they come and go, also between list and question."""

    name = "disk_partitions"

    def read(self) -> Sample:
        """Ask for each mount's usage; one that gives none is left out."""
        usages: dict[Any, tuple[tuple[str, ...], tuple[Value, ...]]] = {}
        left_out: dict[str, str] = {}
        for mount in psutil.disk_partitions():
            if "docker" in mount.mountpoint:
                continue
            try:
                usage = psutil.disk_usage(mount.mountpoint)
            except (OSError, ValueError) as error:
                left_out[f"{self.name} {mount.mountpoint}"] = str(error)
                continue
            # The same file system may be mounted twice in one place: that is one series.
            usages[mount] = (usage._fields, tuple(usage))
        shape = tuple((mount, fields) for mount, (fields, _) in usages.items())
        values = [value for _, figures in usages.values() for value in figures]
        return Sample(shape, values, left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each figure of each mount."""
        return [
            Series(f"{_PREFIX}{name}", INTEGER, (*_description(mount), *host))
            for mount, fields in shape
            for name in fields
        ]


def _description(mount: Any) -> tuple[Pair, ...]:  # noqa: ANN401 - psutil's private tuple type
    return (
        ("disk_partition_device", mount.device),
        ("disk_partition_mountpoint", mount.mountpoint),
        ("disk_partition_fstype", mount.fstype),
        ("disk_partition_opts", mount.opts),
    )


SOURCES = (Partitions(),)
