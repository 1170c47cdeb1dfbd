"""The host: its metadata, the files in /proc and /sys, and the paths at which the agent sees them.

The functions here read files of the kernel that psutil does not read. Parsing is separate: each
family does its own.
"""

from __future__ import annotations

import io
import os
import platform
import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import psutil

from pattoo_mp.collect.table import Label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pattoo_mp.collect.table import Table
    from pattoo_mp.config.values import Config
    from pattoo_mp.model import Pair

#: A figure, or why it is not known.
F = TypeVar("F")


#: The metadata of every series, in the order of the original agent's checksums.
LABELS: Final = (
    Label("release", "OS Release", "The kernel's release."),
    Label("version", "OS Version", "The kernel's build."),
    Label(
        "processor",
        "Processor Type",
        "The kind of processor; empty if the system does not name it.",
    ),
    Label("type", "OS Type", "The operating system, such as `Linux`."),
    Label("cpus", "OS CPU Count", "Logical processors."),
    Label("hostname", "Hostname", "The host's full name."),
)


def metadata(hostname: str, cpus: int | None) -> tuple[Pair, ...]:
    """Return the metadata of the host: a value for each of `LABELS`."""
    values = (
        platform.release(),
        platform.version(),
        platform.processor(),
        platform.system(),
        str(cpus),
        hostname,
    )
    return tuple((label.key, value) for label, value in zip(LABELS, values, strict=True))


#: The processors in use, such as `0-3,6`; glibc counts them there, too.
_ONLINE: Final = "/sys/devices/system/cpu/online"
_IS_GLIBC: Final = "CS_GNU_LIBC_VERSION" in os.confstr_names and (
    os.confstr("CS_GNU_LIBC_VERSION") or ""
).startswith("glibc")


def cpus() -> int | None:
    """Return the number of logical processors, which can change on a virtual host.

    It is the one that `psutil.cpu_count` gives. But glibc would read the file without releasing
    Python's lock, so that one that hangs (under lxcfs) would stop all threads.
    """
    if _IS_GLIBC:
        with suppress(OSError, ValueError):
            return size_of_list(text(_ONLINE))
    return psutil.cpu_count()


def size_of_list(ranges: str) -> int:
    r"""Return how many numbers a list of the kernel has. Raises `ValueError`.

    >>> size_of_list("0-3,6\n")
    5
    """
    bounds = [part.partition("-") for part in ranges.strip().split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in bounds)


#: `float` would take `nan`, `inf` and numbers below 0, too.
_LOADS: Final = re.compile(
    r"([0-9]{1,10}\.[0-9]{1,6}) ([0-9]{1,10}\.[0-9]{1,6}) ([0-9]{1,10}\.[0-9]{1,6})\b"
)


def load_average() -> tuple[float, float, float]:
    """Return the load averages of the last 1, 5 and 15 minutes. Raises `OSError` or `ValueError`.

    `psutil.getloadavg` reads the same file, but without releasing Python's lock, as `cpus` says.
    """
    found = _LOADS.match(proc("loadavg"))
    if found is None:
        raise ValueError("/proc/loadavg does not begin with three averages")
    return float(found[1]), float(found[2]), float(found[3])


#: The path of `/sys`, and that of the network's files below `/proc`. Like psutil's `PROCFS_PATH`,
#: `HostPaths.adopt` may change them before the first poll.
SYS = Path("/sys")
NET = "net"


#: At a time. Most files of the kernel are smaller.
_READ_BYTES: Final = 1 << 14


#: The kernel's own files in `/proc`, by path. They stay open: to open and close one takes as long as to
#: read it. Read from the beginning, it has the figures of that moment.
_kept: dict[str, io.FileIO] = {}
_MOST_KEPT: Final = 64
#: In a poll: the files that were read, with their contents.
_moment = threading.local()


def proc(name: str) -> str:
    """Return the content of a file below `/proc`, which is where psutil looks for it.

    Raises as `text`.
    """
    path = f"{psutil.PROCFS_PATH}/{name}"
    if name[0].isdigit():  # the file of a process: there may be thousands, and each may end
        return text(path)
    contents: dict[str, str] | None = getattr(_moment, "contents", None)
    if contents is None:
        return _kept_text(path)
    if path not in contents:
        contents[path] = _kept_text(path)
    return contents[path]


@contextmanager
def one_moment() -> Iterator[None]:
    """In the block, `proc` reads each file once for this thread: several sources use the same ones."""
    _moment.contents = {}
    try:
        yield
    finally:
        _moment.contents = None


def _kept_text(path: str) -> str:
    """Return the content of a file that stays open if it is the kernel's own."""
    file = _kept.get(path)
    if file is not None:
        try:
            return _content(file.fileno())
        except OSError:
            # What it was about is gone, such as an interface. There may be another one of that name.
            _kept.pop(path, None)
    # Another thread may still read one that is kept no longer: the last one that uses it closes it.
    file = io.FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    is_kept = False
    try:
        content = _content(file.fileno())
        is_kept = bool(content) and len(_kept) < _MOST_KEPT and _is_kernels_own(file.fileno())
    finally:
        if not is_kept:
            file.close()
    if is_kept:
        _kept[path] = file
    return content


def _is_kernels_own(descriptor: int) -> bool:
    """Whether a file belongs to `/proc`, and is no other one at its place, such as lxcfs'.

    An open file would keep another file system from being unmounted.
    """
    found = os.fstat(descriptor)
    return found.st_size == 0 and found.st_dev == Path(psutil.PROCFS_PATH).stat().st_dev


def _content(descriptor: int) -> str:
    content = b""
    # A short answer does not mean that there is no more: the kernel gives whole lines.
    while part := os.pread(descriptor, _READ_BYTES, len(content)):
        content += part
    return content.decode("utf-8", "surrogateescape")


def net(name: str) -> str:
    """Return the content of a file of `/proc/net`, of the host's network."""
    return proc(f"{NET}/{name}")


def text(path: Path | str) -> str:
    """Return the content of a file.

    Raises `OSError`: `FileNotFoundError` if this kernel has no such file.
    """
    # Four system calls, where `open` makes eight: this matters for the files of all processes.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _content(descriptor)
    finally:
        os.close(descriptor)


#: The kernel's have 64 bits. `int` refuses very long ones, which would cost the lines beside them.
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_SHORT: Final = re.compile(r"[0-9]{1,19}")
_COUNTS: Final = re.compile(r"[0-9]{1,19}(?: [0-9]{1,19})*")
_LARGEST: Final = (1 << 64) - 1
#: Characters of a bad figure that a message shows.
_SHOWN: Final = 40


def count(text: str) -> int:
    """Return a number that the kernel counts to: whole, not below 0, of 64 bits. Raises `ValueError`.

    >>> count("18446744073709551615")
    18446744073709551615
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!r} is not a number that the kernel counts to")
    number = int(text)
    if number > _LARGEST:
        raise ValueError(f"{number} is more than the kernel counts to")
    return number


def count_or_error(text: str) -> int | Exception:
    """Return what `count` returns or raises: a bad figure takes none of those beside it along."""
    try:
        return count(text)
    except ValueError as error:
        return error


def counts(texts: Sequence[str]) -> list[int | Exception]:
    """Return what `count_or_error` does for each text. To check them at once takes a third of the time.

    >>> counts(["1", "-2"])
    [1, ValueError("'-2' is not a number that the kernel counts to")]
    """
    if _COUNTS.fullmatch(" ".join(texts)):
        return list(map(int, texts))
    return list(map(count_or_error, texts))


def numbers(lines: str) -> dict[str, int | Exception]:
    r"""Return what `count_or_error` does for lines of two words, a name and a number. Others are ignored.

    >>> numbers("pgfault 12\noom_kill -1\nrev a b c\n")
    {'pgfault': 12, 'oom_kill': ValueError("'-1' is not a number that the kernel counts to")}
    """
    pairs = (line.split() for line in lines.split("\n"))
    # There may be hundreds of lines: most need no call.
    return {
        pair[0]: int(pair[1]) if _SHORT.fullmatch(pair[1]) else count_or_error(pair[1])
        for pair in pairs
        if len(pair) == 2
    }


def described(table: Table, found: Mapping[str, F]) -> dict[str, F]:
    """Return the figures that the table describes, in the table's order.

    A kernel reports far more than these, and an old one not all of them.
    """
    return {metric.name: found[metric.name] for metric in table.metrics if metric.name in found}


#: The PID of the process whose mounts and network are the host's.
FIRST_PROCESS: Final = "1"


@dataclass(frozen=True, slots=True)
class HostPaths:
    """The paths of the host's /proc, /sys and root. An agent in a container sees them elsewhere."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")

    @classmethod
    def of(cls, config: Config) -> HostPaths:
        """Return the paths that `config` names."""
        return cls(config.procfs_path, config.sysfs_path, config.rootfs_path)

    @property
    def are_elsewhere(self) -> bool:
        """Whether these are not the agent's own paths, so that its own figures must not be used."""
        return self != OWN

    def adopt(self) -> None:
        """Make psutil and this module use these paths, in the whole process, from now on."""
        global SYS, NET  # noqa: PLW0603 - like psutil's path, for the whole process
        if self.are_elsewhere:
            psutil.PROCFS_PATH = str(self.procfs)
            SYS = self.sysfs
            # /proc/net is the network of the process that reads it.
            NET = f"{FIRST_PROCESS}/net"


#: The agent's own paths.
OWN: Final = HostPaths()
