"""The agent's own cgroup: what its container or service uses, and its limits.

Supports cgroup versions 1 and 2, see Documentation/admin-guide/cgroup-v2.rst and cgroup-v1 in the
kernel.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from pattoo_mp.collect import host
from pattoo_mp.collect.host import OWN
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.host import HostPaths
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

    #: Of bytes or processes, or of processors.
    Limit = TypeVar("Limit", int, float)

# fmt: off
_CGROUP: Final = Table(
    "cgroup", "Cgroup of the agent", "cgroup_", INTEGER,
    (
        Metric("memory_used", INTEGER, "bytes", "Cgroup Memory",
               "Memory of all its processes, including cached files."),
        Metric("memory_limit", INTEGER, "bytes", "Cgroup Memory (Limit)",
               "Exceeding this triggers the OOM killer; the least of its own limit and those of "
               "the cgroups above; not sent if there is no limit."),
        Metric("swap_used", INTEGER, "bytes", "Cgroup Swap",
               "Swap space in use; cgroup version 2 only."),
        Metric("memory_kills", COUNTER64, "kills", "Cgroup Out of Memory Kills",
               "Processes in it that the OOM killer ended."),
        Metric("cpu_time", COUNTER64, "microseconds", "Cgroup CPU Time",
               "Processor time used."),
        Metric("cpu_limit", FLOAT, "processors", "Cgroup CPU Limit",
               "How many processors' time it may use, the cgroups above included; not sent if there "
               "is no limit."),
        Metric("cpu_periods", COUNTER64, "periods", "Cgroup CPU Periods",
               "Periods, usually of 0.1 s, in which it ran under a limit."),
        Metric("cpu_throttled_periods", COUNTER64, "periods", "Cgroup CPU Periods (Throttled)",
               "Periods in which it was throttled."),
        Metric("cpu_throttled_time", COUNTER64, "microseconds", "Cgroup CPU Time (Throttled)",
               "Time that it was throttled, summed over the processors."),
        Metric("processes", INTEGER, "processes", "Cgroup Processes",
               "Number of its processes and threads."),
        Metric("processes_limit", INTEGER, "processes", "Cgroup Processes (Limit)",
               "How many it may have, the cgroups above included; not sent if there is no limit."),
    ),
)
# fmt: on

TABLES: Final = (_CGROUP,)

#: Below `/proc`.
_OWN_CGROUP: Final = "self/cgroup"
#: Version 1 expresses "no limit" as a number that no host can reach.
_NO_LIMIT: Final = 1 << 60
_NS_PER_US: Final = 1000


def paths_by_controller(lines: str) -> dict[str, str]:
    r"""Return the cgroup path for each controller in `/proc/<pid>/cgroup`; version 2's key is "".

    >>> paths_by_controller("4:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n")
    {'cpu': '/a', 'cpuacct': '/a', 'name=systemd': '/b', '': '/c'}
    """
    found: dict[str, str] = {}
    for line in lines.split("\n"):
        _, separator, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if separator:
            found |= dict.fromkeys(controllers.split(","), path)
    return found


class Directory:
    """The files of the cgroup at `path` in the hierarchy that is mounted at `root`.

    In a container the cgroup is often the root of the mounted hierarchy, so that is the default.
    """

    def __init__(self, root: Path, path: str) -> None:
        parts = [part for part in path.split("/") if part]
        # A path that leads out of the cgroup namespace is not below this root.
        if ".." in parts or not root.joinpath(*parts).is_dir():
            parts = []
        self._way_up = [root.joinpath(*parts[:length]) for length in range(len(parts), -1, -1)]

    def read(self, name: str) -> str:
        """Return the content of a file. An empty text if there is no such file."""
        return _text(self._way_up[0] / name)

    def least(self, limit: Callable[..., Limit | None], *names: str) -> Limit | None:
        """Return the least limit of the cgroup and those above it, which limit it as well.

        `limit` is given the contents of the files `names`, and returns None if there is no limit.
        """
        found = (limit(*(_text(above / name) for name in names)) for above in self._way_up)
        return min((value for value in found if value is not None), default=None)


def _text(path: Path) -> str:
    try:
        return host.text(path)
    except FileNotFoundError:
        return ""


def version2(cgroup: Directory) -> dict[str, Value | Exception]:
    """Return the figures of a version 2 cgroup."""
    cpu, events = host.numbers(cgroup.read("cpu.stat")), host.numbers(cgroup.read("memory.events"))
    return {
        "memory_used": _number(cgroup.read("memory.current")),
        "memory_limit": cgroup.least(_number, "memory.max"),
        "swap_used": _number(cgroup.read("memory.swap.current")),
        "memory_kills": events.get("oom_kill"),
        "cpu_time": cpu.get("usage_usec"),
        "cpu_limit": cgroup.least(_quota, "cpu.max"),
        "cpu_periods": cpu.get("nr_periods"),
        "cpu_throttled_periods": cpu.get("nr_throttled"),
        "cpu_throttled_time": cpu.get("throttled_usec"),
        "processes": _number(cgroup.read("pids.current")),
        "processes_limit": cgroup.least(_number, "pids.max"),
    }


def version1(cgroups: Mapping[str, Directory]) -> dict[str, Value | Exception]:
    """Return the figures of a version 1 cgroup, where each controller has its own directory."""
    memory, processor, pids = cgroups["memory"], cgroups["cpu"], cgroups["pids"]
    cpu = host.numbers(processor.read("cpu.stat"))
    events = host.numbers(memory.read("memory.oom_control"))
    return {
        "memory_used": _number(memory.read("memory.usage_in_bytes")),
        "memory_limit": _version1_memory_limit(memory),
        "memory_kills": events.get("oom_kill"),
        "cpu_time": _microseconds(_number(cgroups["cpuacct"].read("cpuacct.usage"))),
        "cpu_limit": processor.least(_processors, "cpu.cfs_quota_us", "cpu.cfs_period_us"),
        "cpu_periods": cpu.get("nr_periods"),
        "cpu_throttled_periods": cpu.get("nr_throttled"),
        "cpu_throttled_time": _microseconds(cpu.get("throttled_time")),
        "processes": _number(pids.read("pids.current")),
        "processes_limit": pids.least(_number, "pids.max"),
    }


def _number(text: str) -> int | None:
    """Return the number, or None for `max`, an empty text, and version 1's "no limit"."""
    text = text.strip()
    number = int(text) if text.isdecimal() else None
    return number if number is not None and number < _NO_LIMIT else None


def _microseconds(nanoseconds: int | Exception | None) -> int | Exception | None:
    return nanoseconds // _NS_PER_US if isinstance(nanoseconds, int) else nanoseconds


def _processors(quota: str, period: str) -> float | None:
    limit, length = _number(quota), _number(period)
    return limit / length if limit and length else None


def _quota(text: str) -> float | None:
    quota, _, period = text.partition(" ")
    return _processors(quota, period)


def _version1_memory_limit(memory: Directory) -> int | Exception | None:
    """Return what the kernel says that the cgroups above allow, too.

    Those above limit only where `memory.use_hierarchy` is set, and may be out of a container's sight.
    """
    allowed = host.numbers(memory.read("memory.stat")).get("hierarchical_memory_limit", _NO_LIMIT)
    if isinstance(allowed, Exception):
        return allowed
    own = _number(memory.read("memory.limit_in_bytes"))
    return min(allowed, _NO_LIMIT if own is None else own) if allowed < _NO_LIMIT else own


def _read(paths: HostPaths) -> dict[str, Value | Exception]:
    if paths.are_elsewhere:  # the agent's cgroup is in its own /proc and /sys, not in the host's
        lines, sys = host.text(OWN.procfs / _OWN_CGROUP), OWN.sysfs
    else:
        lines, sys = host.proc(_OWN_CGROUP), host.SYS
    found, root = paths_by_controller(lines), sys / "fs" / "cgroup"
    if "memory" in found:
        controllers = ("memory", "cpu", "cpuacct", "pids")
        figures = version1({c: Directory(root / c, found.get(c, "/")) for c in controllers})
    else:
        figures = version2(Directory(root, found.get("", "/")))
    given: dict[str, Value | Exception] = {
        name: value for name, value in figures.items() if value is not None
    }
    if not given:
        raise NotImplementedError("the agent's cgroup does not report what it uses")
    return given


def sources(plan: Plan) -> tuple[Source, ...]:
    """The agent's own cgroup."""
    return (Fields(_CGROUP, partial(_read, plan.filters.paths)),)
