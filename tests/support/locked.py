"""A process that holds an agent's lock and does nothing else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOLD = """
import pathlib, sys
from pattoo_mp.control.run_directory import PidLock
lock = PidLock(pathlib.Path(sys.argv[1]))
print(flush=True)
sys.stdin.read()
lock.release()
"""


@contextlib.contextmanager
def lock_held(path: Path) -> Iterator[int]:
    """Hold the lock on `path` from another process. Yield its process number."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.stdin.close()
