"""Simulated hosts: psutil's answers, and polls of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from pattoo_mp.collect.poller import Poller
from pattoo_mp.model import Origin
from tests.support.sources import sources_of

if TYPE_CHECKING:
    import pytest

    from pattoo_mp.model import Layout, Poll

ORIGIN = Origin("a5" * 32, "localhost")


class _Mount(NamedTuple):
    """A mount as psutil describes it."""

    device: str
    mountpoint: str
    fstype: str
    opts: str


@dataclass(frozen=True)
class Host:
    """A host with so many interfaces, disks and mounts. Counters grow with each answer."""

    interfaces: int
    disks: int
    mounts: int

    def install(self, patch: pytest.MonkeyPatch) -> Poller:
        """Make psutil answer for this host, and return a poller of its families."""
        number = count(1_000_000)
        nic = psutil.net_io_counters()
        disk = next(iter(psutil.disk_io_counters(perdisk=True).values()))
        usage = psutil.disk_usage("/")

        def ticking(record: Any) -> Any:  # noqa: ANN401 - psutil's private tuple types
            return type(record)(*islice(number, len(record)))

        mounts = [
            _Mount(f"/dev/m{i}", f"/srv/{i}", "ext4", "rw,relatime") for i in range(self.mounts)
        ]
        answers: dict[str, Any] = {
            "net_io_counters": lambda **_: {
                f"eth{i}": ticking(nic) for i in range(self.interfaces)
            },
            "disk_io_counters": lambda **_: {f"sd{i}": ticking(disk) for i in range(self.disks)},
            "disk_partitions": lambda: mounts,
            "disk_usage": lambda _: ticking(usage),
        }
        for name, answer in answers.items():
            patch.setattr(psutil, name, answer)
        names = ("disk_io", "network", "partitions")
        return Poller(sources_of(*names, limit_s=1.0), ORIGIN, 100)


SMALL = Host(interfaces=2, disks=3, mounts=4)
LARGE = Host(interfaces=1_000, disks=200, mounts=100)


def polls(poller: Poller, number: int) -> tuple[Layout, list[Poll]]:
    """Polls at 10 Hz."""
    layout, first = poller.poll(100)
    rest = [poller.poll(100 * n)[1] for n in range(2, number + 1)]
    return layout, [replace(first), *rest]
