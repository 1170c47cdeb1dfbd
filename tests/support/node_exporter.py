"""Debian's node_exporter: starts it, asks it, and reads its answer."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from socket import socket
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from tests.support.ports import free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRAM: Final = shutil.which("prometheus-node-exporter")
WHY_MISSING: Final = "needs Debian's package prometheus-node-exporter"

#: All devices and figures. Netlink would answer for the network of this machine, whatever the paths.
_ALL: Final = (
    "--collector.netdev.device-exclude=^$",
    "--no-collector.netdev.netlink",
    "--collector.diskstats.device-exclude=^$",
    "--collector.filesystem.fs-types-exclude=^$",
    "--collector.filesystem.mount-points-exclude=^$",
    "--collector.netstat.fields=.*",
    "--collector.vmstat.fields=.*",
    "--collector.cpu.guest",
    "--collector.stat.softirq",
    "--collector.processes",
    "--collector.softnet",
    "--collector.tcpstat",
)

#: The name of a series and its labels.
Name = tuple[str, frozenset[tuple[str, str]]]

_LINE: Final = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")


def parse(text: str) -> dict[Name, float]:
    r"""Return the values of all series.

    >>> parse('# TYPE a gauge\na{b="c"} 2.5e+06\n')
    {('a', frozenset({('b', 'c')})): 2500000.0}
    """
    lines = (line for line in text.split("\n") if line and not line.startswith("#"))
    found = filter(None, map(_LINE.fullmatch, lines))
    return {
        (name, _labels(labels or "")): float(value)
        for name, labels, value in (m.groups() for m in found)
    }


def _labels(text: str) -> frozenset[tuple[str, str]]:
    unescaped = {"n": "\n"}
    return frozenset(
        (name, _ESCAPED.sub(lambda match: unescaped.get(match[1], match[1]), value))
        for name, value in _LABEL.findall(text)
    )


@contextmanager
def running(*arguments: str) -> Iterator[Callable[[], dict[Name, float]]]:
    """Run it with these arguments. Gives a function that returns the values of all series now.

    All questions go over one connection, so that none changes the number of sockets.
    """
    assert PROGRAM is not None
    port = free_port()
    command = [PROGRAM, f"--web.listen-address=127.0.0.1:{port}", *_ALL, *arguments]
    with TemporaryFile("w+") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_for(lambda: _listens(port) or process.poll() is not None, what="its socket")
            log.seek(0)
            assert process.poll() is None, log.read()[-2000:]
            with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
                yield lambda: parse(_metrics(connection))
        finally:
            process.terminate()
            process.wait(timeout=30)


def _listens(port: int) -> bool:
    with socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _metrics(connection: HTTPConnection) -> str:
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200, answer.reason
    return answer.read().decode()


def copy_of(host: Path, directory: Path) -> Path:
    """Copy a host's directory, with a `sys` and the link `proc/self`, on which the program insists."""
    shutil.copytree(host, directory, symlinks=True)
    (directory / "sys").mkdir(exist_ok=True)
    own, first = directory / "proc" / "self", directory / "proc" / "1"
    first.mkdir(exist_ok=True)
    if own.exists():
        shutil.copytree(own, first, dirs_exist_ok=True)
        shutil.rmtree(own)
    own.symlink_to("1")
    return directory
