"""Child processes: kill them, die with a parent, and reap orphaned grandchildren."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_POLL_S: Final = 0.001
#: From <linux/prctl.h>; see prctl(2).
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def kill_and_wait(pid: int, wait_s: float) -> None:
    """Send SIGKILL and wait up to `wait_s` for the end: a dead disk may hold a process.

    `pid` must be an unreaped child, so it cannot have been reused. It is not reaped here. The state
    is polled, because kernels before 5.3 and some containers have no pidfd.
    """
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + wait_s
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, pid, ended) is None and time.monotonic() < until:
        time.sleep(_POLL_S)


#: How long a process may take to disappear once it has said that it ends (s).
_DISAPPEAR_S: Final = 1.0


def run_apart(run: Callable[[], int], *, ends_itself: bool = False) -> int:
    """Call `run` in a child process, and return what it returns, the exit status.

    A process with a thread that hangs in the kernel never disappears, so its parent would wait for
    good, as a shell does. This one waits only until `run` has returned. `ends_itself`: `run` returns
    at SIGTERM and SIGINT, of which it may get several, and is given the time to, for it has a terminal to restore.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        die_with(parent, signal.SIGKILL)
        _run_in_child(run, writing)
    os.close(writing)
    if ends_itself:

        def pass_on(number: int, _: object) -> None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)

        for number in (signal.SIGTERM, signal.SIGINT):  # a terminal sends SIGINT to the child, too
            signal.signal(number, pass_on)
    said = os.read(reading, 1)
    os.close(reading)
    until = time.monotonic() + _DISAPPEAR_S
    ended, status = os.waitpid(pid, os.WNOHANG if said else 0)
    while not ended and time.monotonic() < until:
        time.sleep(_POLL_S)
        ended, status = os.waitpid(pid, os.WNOHANG)
    # By a signal, or without a word: as a shell would put it.
    return said[0] if said else abs(os.waitstatus_to_exitcode(status))


def _run_in_child(run: Callable[[], int], writing: int) -> None:
    """Call `run`, write its exit status, and exit. Never returns: the stack below is the parent's."""
    status = 1
    try:
        status = run()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the outermost handler
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os.closerange(0, 3)  # who reads the output would wait for a thread that hangs
        os.write(writing, bytes([status]))
        os._exit(status)


def clock() -> float:
    """Return a time for durations and ages (s): nobody sets it, and it goes on while the host is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat (proc(5)) from the third on, the state. Raises `OSError`.

    It needs no lock of that process, which one that hangs may hold.
    """
    # The name in parentheses, the second field, may contain anything.
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()


def is_stopped(pid: int) -> bool:
    """Whether a signal or a debugger has stopped the process."""
    with contextlib.suppress(OSError):
        return stat_fields(pid)[:1] in (["T"], ["t"])
    return False


def die_with(parent: int, by: signal.Signals) -> None:
    """Ask the kernel for signal `by` when the process `parent` ends; exit if it already has.

    The signal comes whatever state this process is in. The parent is checked after the call, since
    a parent that ended before it causes no signal.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans(*, is_to: bool = True) -> None:
    """Become the parent of all processes below this one whose own parent ends, or cease to."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(is_to), 0, 0, 0)


@contextmanager
def reaping_orphans(name: str) -> Iterator[None]:
    """Adopt processes orphaned inside the block; afterwards reap the ended ones called `name`.

    Those that end later are reaped the next time. Without this they would go to process 1. In many
    containers that reaps nothing, so they would stay as zombies, and a server that never
    agrees to a session would fill the process table.
    """
    adopt_orphans()
    try:
        yield
    finally:
        adopt_orphans(is_to=False)
        _reap(name)


def _reap(name: str) -> None:
    """Reap ended children called `name`; stop at the first other one, which has its own waiter."""
    look = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with contextlib.suppress(ChildProcessError, FileNotFoundError, ProcessLookupError):
        while ended := os.waitid(os.P_ALL, 0, look):
            if Path(f"/proc/{ended.si_pid}/comm").read_text(encoding="utf-8").strip() != name:
                return
            os.waitpid(ended.si_pid, 0)
