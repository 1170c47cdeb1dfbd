"""Disk partitions: how full each mounted file system is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from pattoo_mp.collect.source import Sample, Shape
from pattoo_mp.collect.timelimit import TimeLimited
from pattoo_mp.model import INTEGER, Series

if TYPE_CHECKING:
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Pair, Value

_PREFIX = "disk_partition_disk_usage_"


class Partitions:
    """Asks for the mounts anew at each poll: they come and go, also between list and question.

    A mount whose device or server is dead may hang, and is waited for no longer than `limit_s`.
    A local disk may die as well as a server, so all are asked by another thread. Handing them over
    costs a poll about 0.1 ms of processor time, once, however many they are.
    """

    name = "disk_partitions"

    def __init__(self, limit_s: float) -> None:
        self._usage = TimeLimited("disk usage", _usage, limit_s)

    def read(self) -> Sample:
        """Ask for each mount's usage; one that gives none is left out."""
        mounts = {_place(m): m for m in psutil.disk_partitions() if "docker" not in m.mountpoint}
        shape: list[Any] = []
        values: list[Value] = []
        left_out: dict[str, str] = {}
        for place, usage in self._usage.ask(mounts).items():
            if isinstance(usage, Exception):
                left_out[f"{self.name} {mounts[place].mountpoint}"] = str(usage)
                continue
            shape.append((mounts[place], usage._fields))
            values += usage
        return Sample(tuple(shape), values, left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each figure of each mount."""
        return [
            Series(f"{_PREFIX}{name}", INTEGER, (*_description(mount), *host))
            for mount, fields in shape
            for name in fields
        ]


def _place(mount: Any) -> tuple[str, str]:  # noqa: ANN401 - psutil's private tuple type
    """What tells a mount from others, also when it is mounted anew with other options."""
    return mount.device, mount.mountpoint


def _usage(place: tuple[str, str]) -> Any:  # noqa: ANN401 - psutil's private tuple type
    return psutil.disk_usage(place[1])


def _description(mount: Any) -> tuple[Pair, ...]:  # noqa: ANN401 - psutil's private tuple type
    return (
        ("disk_partition_device", mount.device),
        ("disk_partition_mountpoint", mount.mountpoint),
        ("disk_partition_fstype", mount.fstype),
        ("disk_partition_opts", mount.opts),
    )


def sources(limit_s: float) -> tuple[Source, ...]:
    """How full each mount is; all of them together may take `limit_s` to say so."""
    return (Partitions(limit_s),)
