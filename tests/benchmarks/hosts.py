"""Simulated hosts, small and large, and polls of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import psutil

from pattoo_mp.collect.poller import Poller
from pattoo_mp.model import Origin
from tests.support.procfs import ProcFS
from tests.support.sources import sources_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from pattoo_mp.model import Layout, Poll

ORIGIN = Origin("a5" * 32, "localhost")
_FAMILIES = ("disk_io", "network", "partitions")


class _Mount(NamedTuple):
    """A mount as psutil describes it."""

    device: str
    mountpoint: str
    fstype: str
    opts: str


@dataclass(frozen=True)
class Host:
    """A host with so many interfaces, disks and mounts."""

    interfaces: int
    disks: int
    mounts: int

    def install(self, patch: pytest.MonkeyPatch, home: Path) -> Poller:
        """Write a /proc of this host below `home`, and return a poller of the families with devices."""
        simulated = ProcFS(home, patch)
        simulated.interfaces(*(f"eth{number}" for number in range(self.interfaces)))
        simulated.disks(*(f"sd{number}" for number in range(self.disks)))
        mounts = [
            _Mount(f"/dev/m{number}", f"/srv/{number}", "ext4", "rw,relatime")
            for number in range(self.mounts)
        ]
        usage = psutil.disk_usage("/")
        patch.setattr(psutil, "disk_partitions", lambda: mounts)
        patch.setattr(psutil, "disk_usage", lambda _: usage)
        return Poller(sources_of(*_FAMILIES, limit_s=1.0), ORIGIN, 100)


SMALL = Host(interfaces=2, disks=3, mounts=4)
LARGE = Host(interfaces=1_000, disks=200, mounts=100)


def polls(poller: Poller, number: int) -> tuple[Layout, list[Poll]]:
    """Polls at 10 Hz."""
    layout, first = poller.poll(100)
    rest = [poller.poll(100 * n)[1] for n in range(2, number + 1)]
    return layout, [replace(first), *rest]
