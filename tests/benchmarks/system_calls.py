"""Counts the system calls of running processes with strace, in a window of its own, as that slows them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Key = TypeVar("Key")


class UncountedError(Exception):
    """System calls cannot be counted here. The message says why."""


def version() -> str:
    """Return the installed version of strace; empty if not installed."""
    if shutil.which("strace") is None:
        return ""
    done = subprocess.run(["strace", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version ([\d.]+)", done.stdout)
    return found[1] if found else "of unknown version"


def system_calls(pids: Mapping[Key, int], seconds: float) -> dict[Key, float]:
    """Return the system calls a second of each process with all its threads. Raises `UncountedError`."""
    if shutil.which("strace") is None:
        raise UncountedError("strace is not installed")
    with tempfile.TemporaryDirectory(prefix="pmp-") as directory:
        tracing: dict[Key, tuple[subprocess.Popen[str], Path]] = {}
        try:
            for number, (key, pid) in enumerate(pids.items()):
                output = Path(directory, str(number))
                command = ["strace", "-c", "-f", "-U", "calls,name", "-o", str(output), "-p"]
                process = subprocess.Popen([*command, str(pid)], stderr=subprocess.PIPE, text=True)
                tracing[key] = process, output
            for process, _ in tracing.values():
                _wait_until_attached(process)
            began = time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
        finally:
            for process, _ in tracing.values():
                process.send_signal(signal.SIGINT)  # it detaches, and writes what it counted
            for process, _ in tracing.values():
                process.communicate()
        return {key: total(output.read_text()) / took for key, (_, output) in tracing.items()}


def _wait_until_attached(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    line = process.stderr.readline()
    if "attached" not in line:
        raise UncountedError(f"strace cannot attach: {line.strip() or 'it ended'}")


def total(summary: str) -> int:
    """Return the number of calls from what `strace -c` writes; nothing is written if there were none."""
    found = re.search(r"^\s*(\d+)\s+total$", summary, re.MULTILINE)
    return int(found[1]) if found else 0
