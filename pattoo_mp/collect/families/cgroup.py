"""The cgroup that the agent runs in: what a container or a service takes, and what it may take.

Of both versions: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1 of the kernel.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

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

    Read = Callable[[str], str]

# fmt: off
_CGROUP: Final = Table(
    "cgroup", "Cgroup of the agent", "cgroup_", INTEGER,
    (
        Metric("memory_used", INTEGER, "bytes", "Cgroup Memory",
               "Memory of all its processes, and of the files that they have used."),
        Metric("memory_limit", INTEGER, "bytes", "Cgroup Memory (Limit)",
               "Above this somebody in it is killed; not sent where there is no limit."),
        Metric("swap_used", INTEGER, "bytes", "Cgroup Swap",
               "Swap space that it uses; of version 2 alone."),
        Metric("memory_kills", COUNTER64, "kills", "Cgroup Out of Memory Kills",
               "Processes in it that were killed for want of memory."),
        Metric("cpu_time", COUNTER64, "microseconds", "Cgroup CPU Time",
               "Processor time that it took."),
        Metric("cpu_limit", FLOAT, "processors", "Cgroup CPU Limit",
               "So many processors' time it may take; not sent where there is no limit."),
        Metric("cpu_periods", COUNTER64, "periods", "Cgroup CPU Periods",
               "Periods, mostly of 0.1 s, in which it ran under a limit."),
        Metric("cpu_throttled_periods", COUNTER64, "periods", "Cgroup CPU Periods (Throttled)",
               "Those of them in which it was held up."),
        Metric("cpu_throttled_time", COUNTER64, "microseconds", "Cgroup CPU Time (Throttled)",
               "Time that it was held up, of each processor."),
        Metric("processes", INTEGER, "processes", "Cgroup Processes",
               "Its processes and threads."),
        Metric("processes_limit", INTEGER, "processes", "Cgroup Processes (Limit)",
               "As many as it may have; not sent where there is no limit."),
    ),
)
# fmt: on

TABLES: Final = (_CGROUP,)

_OWN_PLACE: Final = "self/cgroup"
#: Version 1 says `no limit` by a number that no host can reach.
_NO_LIMIT: Final = 1 << 60
_NS_PER_US: Final = 1000


def places(lines: str) -> dict[str, str]:
    r"""Where a process is, by controller; "" is that of version 2. Of `/proc/<pid>/cgroup`.

    >>> places("4:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n")
    {'cpu': '/a', 'cpuacct': '/a', 'name=systemd': '/b', '': '/c'}
    """
    found: dict[str, str] = {}
    for line in lines.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def version2(read: Read) -> dict[str, Value]:
    """The figures of a cgroup whose files `read` gives; empty text for those that there are not."""
    cpu, events = host.numbers(read("cpu.stat")), host.numbers(read("memory.events"))
    quota, _, period = read("cpu.max").partition(" ")
    return {
        "memory_used": _number(read("memory.current")),
        "memory_limit": _number(read("memory.max")),
        "swap_used": _number(read("memory.swap.current")),
        "memory_kills": events.get("oom_kill"),
        "cpu_time": cpu.get("usage_usec"),
        "cpu_limit": _processors(quota, period),
        "cpu_periods": cpu.get("nr_periods"),
        "cpu_throttled_periods": cpu.get("nr_throttled"),
        "cpu_throttled_time": cpu.get("throttled_usec"),
        "processes": _number(read("pids.current")),
        "processes_limit": _number(read("pids.max")),
    }


def version1(read: Mapping[str, Read]) -> dict[str, Value]:
    """The same of version 1, where each controller has a place of its own."""
    cpu = host.numbers(read["cpu"]("cpu.stat"))
    events = host.numbers(read["memory"]("memory.oom_control"))
    quota, period = read["cpu"]("cpu.cfs_quota_us"), read["cpu"]("cpu.cfs_period_us")
    return {
        "memory_used": _number(read["memory"]("memory.usage_in_bytes")),
        "memory_limit": _number(read["memory"]("memory.limit_in_bytes")),
        "memory_kills": events.get("oom_kill"),
        "cpu_time": _microseconds(_number(read["cpuacct"]("cpuacct.usage"))),
        "cpu_limit": _processors(quota, period),
        "cpu_periods": cpu.get("nr_periods"),
        "cpu_throttled_periods": cpu.get("nr_throttled"),
        "cpu_throttled_time": _microseconds(cpu.get("throttled_time")),
        "processes": _number(read["pids"]("pids.current")),
        "processes_limit": _number(read["pids"]("pids.max")),
    }


def _number(text: str) -> int | None:
    """A number, or None for `max`, for none at all, and for what stands for no limit."""
    text = text.strip()
    number = int(text) if text.isdecimal() else None
    return number if number is not None and number < _NO_LIMIT else None


def _microseconds(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else nanoseconds // _NS_PER_US


def _processors(quota: str, period: str) -> float | None:
    limit, length = _number(quota), _number(period)
    return limit / length if limit and length else None


def _reader(root: Path, path: str) -> Read:
    """Reads the files of a cgroup. In a container its place is often the root of what is mounted."""
    below = root / path.lstrip("/")
    directory = below if below.is_dir() else root

    def read(name: str) -> str:
        try:
            return host.text(directory / name)
        except FileNotFoundError:
            return ""

    return read


def _ask(paths: HostPaths) -> dict[str, Value]:
    if paths.are_elsewhere:  # it is the agent's own that is asked for
        lines, sys = host.text(OWN.procfs / _OWN_PLACE), OWN.sysfs
    else:
        lines, sys = host.proc(_OWN_PLACE), host.SYS
    found, root = places(lines), sys / "fs" / "cgroup"
    if "memory" in found:
        controllers = ("memory", "cpu", "cpuacct", "pids")
        figures = version1({c: _reader(root / c, found.get(c, "/")) for c in controllers})
    else:
        figures = version2(_reader(root, found.get("", "/")))
    told: dict[str, Value] = {name: value for name, value in figures.items() if value is not None}
    if not told:
        raise NotImplementedError("the agent runs in no cgroup that tells what it takes")
    return told


def sources(plan: Plan) -> tuple[Source, ...]:
    """The files of the cgroup that the agent runs in."""
    return (Fields(_CGROUP, partial(_ask, plan.filters.paths)),)
