"""Where the host's /proc, /sys and root are: elsewhere, for an agent in a container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect import kernel

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The process whose mounts and network are the host's.
FIRST_PROCESS: Final = "1"


@dataclass(frozen=True, slots=True)
class HostPaths:
    """Where they are seen from the agent."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> HostPaths:
        """Of settings by their names."""
        return cls(*(Path(values[f"{name}_path"]) for name in ("procfs", "sysfs", "rootfs")))

    @property
    def are_elsewhere(self) -> bool:
        """Whether the host's are not the agent's own, so that nothing may be told of the latter."""
        return self != OWN

    def adopt(self) -> None:
        """Have psutil, and what reads beside it, look there: the whole process, from now on."""
        if self.are_elsewhere:
            psutil.PROCFS_PATH = str(self.procfs)
            kernel.SYS = self.sysfs
            # /proc/net is that of whoever reads it.
            kernel.NET = f"{FIRST_PROCESS}/net"


#: Those of the agent itself.
OWN: Final = HostPaths()
