"""A worker process of control: forked, signalled, reaped, and restarted after a delay.

A worker that dies before it has made progress will most likely do so again, so the delay grows with
each such death. A worker that made progress is restarted at once, within limits: each restart takes
a token from a bucket that refills slowly. So a worker that crashes at each poll does not overload
the host.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp import log
from pattoo_mp.errors import PattooError
from pattoo_mp.ipc.link import Link, LinkClosedError
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import now_ms
from pattoo_mp.util.process import die_with, kill_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)

#: Exit status of a worker that reports that a restart cannot help.
FATAL_STATUS: Final = 3
#: How many deaths are kept with their times.
_DEATHS: Final = 5
_NEVER: Final = float("inf")
#: The signals for which control has handlers.
_HANDLED: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
#: The signals that a worker handles once its loop runs (`Wakeup`); until then they are blocked.
_BLOCKED: Final = frozenset(log.SIGNAL_ACTIONS)


@dataclass(frozen=True, slots=True)
class Role:
    """What a worker does: its name, its main function, and the signal it gets when control dies.

    `main` gets the worker's end of the link and runs until the work is done. `place` returns what it
    is doing. `beside` is how many processes that cannot be killed may be left when another one is
    started.
    """

    name: str
    main: Callable[[Link], None]
    on_orphaned: signal.Signals
    place: Callable[[], str] = str
    beside: int = 0


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A process that hangs in the kernel, in `place` if that is known, and cannot be killed."""

    pid: int
    since_ms: int
    place: str


class Worker:
    """The process of a role, or the plan to start one.

    `last_death` describes the last exit. `fatal` is the worker's reason why a restart cannot help.
    `made_progress`: the current process has done some work. `left` are earlier processes that cannot
    be killed. `reap_by` is when the process should have ended, on the monotonic clock; infinity as
    long as it should run.
    """

    def __init__(self, role: Role) -> None:
        self.role = role
        self.pid = 0
        self.link: Link | None = None
        self.started_ms = 0
        self.restarts = 0
        self.last_death = ""
        self.deaths_ms: deque[int] = deque(maxlen=_DEATHS)
        self.start_at = 0.0
        self.troubles: dict[str, str] = {}
        self.fatal = ""
        self.made_progress = False
        self.left: list[LeftBehind] = []
        self.reap_by = _NEVER
        self.hung_in = ""
        #: The number of the settings that it has applied.
        self.settings_number = 0
        self._restart_delay = RestartDelay()

    @property
    def alive(self) -> bool:
        """Whether there is a process that has not been reaped."""
        return self.pid != 0

    def start(self, close_in_child: Callable[[], None]) -> None:
        """Fork the process. `close_in_child` closes in the child what only control may use.

        Raises `OSError` if the host has no process or descriptor to spare; nothing is left open.
        """
        self.fatal, self.made_progress, self.hung_in = "", False, ""
        self.reap_by = _NEVER
        ours, theirs = Link.pair()
        parent = os.getpid()
        # A signal must find either control's handlers or the child's own, never a mix of both.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED | _BLOCKED)
        try:
            pid = os.fork()
            if pid == 0:
                ours.close()
                _run(self.role, theirs, parent, close_in_child)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        self.pid, self.link = pid, ours
        self.started_ms = now_ms()
        _LOG.info("Started the %s as process %d.", self.role.name, pid)

    def signal(self, number: signal.Signals) -> None:
        """Signal the process, if any. It is our unreaped child, so its PID cannot have been reused."""
        if self.alive:
            os.kill(self.pid, number)

    def expect_end(self, within_s: float) -> None:
        """Record that the process has ended or was killed, so it should be reaped in that time."""
        self.reap_by = min(self.reap_by, time.monotonic() + within_s)

    def leave_behind(self) -> LeftBehind:
        """Give up a process that does not end; `reap_left` reaps it when it does."""
        left = LeftBehind(self.pid, now_ms(), self.hung_in)
        self.left.append(left)
        self.pid, self.reap_by = 0, _NEVER
        return left

    def reap_left(self) -> list[LeftBehind]:
        """Reap those left behind that have ended at last, and return them."""
        ended = [left for left in self.left if os.waitpid(left.pid, os.WNOHANG)[0]]
        self.left = [left for left in self.left if left not in ended]
        return ended

    def reap(self) -> int | None:
        """Reap the process if it has exited: return its exit status or minus its signal, else None."""
        if not self.alive:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.pid, self.reap_by = 0, _NEVER
        return os.waitstatus_to_exitcode(status)

    def note_death(self, how: str) -> None:
        """Record why the process exited or could not start, and plan the next start."""
        self.last_death = f"{how}: {self.fatal}" if self.fatal else how
        self.close_link()
        now = time.monotonic()
        self.start_at = now + self._restart_delay.seconds(now, made_progress=self.made_progress)
        self.restarts += 1
        self.deaths_ms.append(now_ms())

    def kill(self, wait_s: float) -> None:
        """Kill the process; wait at most `wait_s` for its exit."""
        if self.alive:
            kill_and_wait(self.pid, wait_s)
            if self.reap() is None:
                _LOG.error(
                    "The %s (process %d) cannot be killed: it hangs in the kernel.",
                    self.role.name,
                    self.pid,
                )

    def close_link(self) -> None:
        """Close the link of a process that has exited."""
        if self.link is not None:
            self.link.close()
            self.link = None
        self.troubles = {}


_FIRST_S: Final = 0.25
_LARGEST_S: Final = 30.0
#: Restarts after progress: 30 without delay, then one every two seconds.
_TOKENS: Final = 30.0
_TOKENS_PER_S: Final = 0.5


class RestartDelay:
    """The delay before each restart. Times are of a monotonic clock, in s."""

    def __init__(self) -> None:
        self._crashes_in_a_row = 0
        self._tokens = _TOKENS
        self._refilled_at = 0.0

    def seconds(self, now: float, *, made_progress: bool) -> float:
        """Return the delay after a death at `now`; `made_progress`: the worker had done some work."""
        if not made_progress:
            self._crashes_in_a_row += 1
            # The first crash may be an accident; the second has a cause that persists.
            steps = min(self._crashes_in_a_row - 2, 16)
            return min(_FIRST_S * 2**steps, _LARGEST_S) if steps >= 0 else 0.0
        self._crashes_in_a_row = 0
        self._tokens = min(_TOKENS, self._tokens + (now - self._refilled_at) * _TOKENS_PER_S) - 1
        self._refilled_at = now
        return max(0.0, -self._tokens / _TOKENS_PER_S)


def exit_description(code: int) -> str:
    """Describe the exit of a process; `code` is the result of `Worker.reap`."""
    return f"signal {_signal_name(-code)}" if code < 0 else f"exit status {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals
        return str(number)


def _run(role: Role, link: Link, parent: int, close_in_child: Callable[[], None]) -> None:
    """Run the worker and exit. Never returns: the stack below is control's."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        # Control sends new settings; a SIGHUP to the whole group must not end a worker.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        die_with(parent, role.on_orphaned)
        close_in_child()
        role.main(link)
        status = 0
    except PattooError as error:
        _LOG.error("%s", error)
        _report_fatal(link, str(error))
        status = FATAL_STATUS
    except BaseException:  # noqa: BLE001 - outermost handler: logged, and shown by the exit status
        _LOG.exception("The %s failed with an unexpected error.", role.name)
    finally:
        # A thread that hangs in the kernel keeps the process, and so its descriptors.
        link.close()
        logging.shutdown()
        os._exit(status)


def _report_fatal(link: Link, reason: str) -> None:
    try:
        link.send(Kind.FATAL, reason)
    except LinkClosedError:
        _LOG.error("Control has exited; this error cannot be reported to it.")
