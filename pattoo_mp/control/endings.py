"""How a run of the control process ended: in order, or cut short by a kill, a crash, or the host's end.

A run has two marks below its directory: the number in the PID file and the status socket. An end in
order takes both away. The PID file alone would not tell, for the original agent leaves one, too.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from pattoo_mp import paths
from pattoo_mp.control.pidlock import PidLock, left_behind
from pattoo_mp.errors import PattooError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)


def cut_short(directory: Path) -> int:
    """The control process of the last run, if its end was not in order; 0 if it was, or nobody knows.

    0 too while an agent runs. Not for the control process itself: see `pidlock.holder`.
    """
    pid = left_behind(paths.pid_file(directory))
    return pid if _has_socket(directory) else 0


def tell(pid: int) -> None:
    """Log of a run that was cut short; `pid` is what `cut_short` said before this one began."""
    if pid:
        _LOG.warning(
            "The last run (process %d) did not end in order: it was killed, it crashed, or the host "
            "went down.",
            pid,
        )


def forgive(directory: Path) -> None:
    """Take a mark of a run away that was ended by force: somebody asked for that."""
    with contextlib.suppress(OSError):
        paths.status_socket(directory).unlink(missing_ok=True)


@contextlib.contextmanager
def run_below(directory: Path) -> Iterator[PidLock]:
    """Hold the lock for a run of this process, and take its marks away if that ends in order.

    That is also an end by an error that a person is told of. Any other error is logged here, since
    nobody may see it elsewhere. Raises `AlreadyRunningError`, `StartError`.
    """
    lock = PidLock(paths.pid_file(directory))
    # Of a run that was cut short: with our number in the PID file it would speak of this one.
    forgive(directory)
    try:
        yield lock
    except PattooError:
        _end(directory, lock)
        raise
    except Exception:
        _LOG.exception("Control ends by an error.")
        raise
    _end(directory, lock)


def _end(directory: Path, lock: PidLock) -> None:
    forgive(directory)
    lock.release()


def _has_socket(directory: Path) -> bool:
    try:
        return paths.status_socket(directory).is_socket()
    except OSError:
        return False
