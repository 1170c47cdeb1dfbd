"""What every series says of its host."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.table import Label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.collect.table import Table
    from pattoo_mp.config.values import Config
    from pattoo_mp.model import Pair, Value


#: In the order that the original agent's checksums follow.
LABELS: Final = (
    Label("release", "OS Release", "The kernel's release."),
    Label("version", "OS Version", "The kernel's build."),
    Label("processor", "Processor Type", "The kind of processor; empty where none is told."),
    Label("type", "OS Type", "The operating system, such as `Linux`."),
    Label("cpus", "OS CPU Count", "Logical processors."),
    Label("hostname", "Hostname", "The host's full name."),
)


def metadata(hostname: str, cpus: int | None) -> tuple[Pair, ...]:
    """The metadata of the host: a value for each of `LABELS`."""
    values = (
        platform.release(),
        platform.version(),
        platform.processor(),
        platform.system(),
        str(cpus),
        hostname,
    )
    return tuple((label.key, value) for label, value in zip(LABELS, values, strict=True))


def cpus() -> int | None:
    """Logical processors now; a virtual host may gain or lose some while it runs."""
    return psutil.cpu_count()


# Reads what the kernel tells in `/proc` and `/sys`, where psutil does not ask for it.
#
# Reading stands apart from parsing: what is here does the former, each family the latter.

#: Where `/sys` is, and the files of the network below `/proc`. Like psutil's `PROCFS_PATH` they may
#: be led elsewhere, before the first poll.
SYS = Path("/sys")
NET = "net"


def proc(name: str) -> str:
    """A file of `/proc`, by its name below that; where psutil looks is where it is looked for."""
    return text(f"{psutil.PROCFS_PATH}/{name}")


def net(name: str) -> str:
    """A file of `/proc/net`, of the host's network."""
    return proc(f"{NET}/{name}")


def text(path: Path | str) -> str:
    """The file. Raises `OSError`: `FileNotFoundError` where this kernel has none."""
    # Unbuffered, as bytes: half the time of `Path.read_text`, which counts with all processes.
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - the same, for a Path takes longer
        return file.readall().decode("utf-8", "surrogateescape")


def numbers(lines: str) -> dict[str, int]:
    r"""The whole numbers of lines of a name and a number; other lines are none of ours.

    >>> numbers("pgfault 12\noom_kill 0\nrev a b c\n")
    {'pgfault': 12, 'oom_kill': 0}
    """
    pairs = (line.split() for line in lines.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def described(table: Table, found: Mapping[str, Value]) -> dict[str, Value]:
    """Of what was found, what the table has a line for, in the table's order.

    A kernel tells far more than anybody asks for, and an old one not all of that.
    """
    return {metric.name: found[metric.name] for metric in table.metrics if metric.name in found}


# Where the host's /proc, /sys and root are: elsewhere, for an agent in a container.

#: The process whose mounts and network are the host's.
FIRST_PROCESS: Final = "1"


@dataclass(frozen=True, slots=True)
class HostPaths:
    """Where they are seen from the agent."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")

    @classmethod
    def of(cls, config: Config) -> HostPaths:
        """Return the paths that `config` names."""
        return cls(config.procfs_path, config.sysfs_path, config.rootfs_path)

    @property
    def are_elsewhere(self) -> bool:
        """Whether the host's are not the agent's own, so that nothing may be told of the latter."""
        return self != OWN

    def adopt(self) -> None:
        """Have psutil, and what reads beside it, look there: the whole process, from now on."""
        global SYS, NET  # noqa: PLW0603 - where the kernel's files are, for the whole process
        if self.are_elsewhere:
            psutil.PROCFS_PATH = str(self.procfs)
            SYS = self.sysfs
            # /proc/net is that of whoever reads it.
            NET = f"{FIRST_PROCESS}/net"


#: Those of the agent itself.
OWN: Final = HostPaths()
