"""How soon a worker that died is started again.

A worker that dies before it has done anything will most likely do so again: it is started ever
more slowly. One that worked and was killed is started at once, but not for ever: deaths are paid
from a purse that fills slowly, so that a worker that crashes at each poll does not eat the host.
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

_FIRST_S: Final = 0.25
_LARGEST_S: Final = 30.0
#: 30 deaths in a row are forgiven, and then one every two seconds.
_TOKENS: Final = 30.0
_TOKENS_PER_S: Final = 0.5


class Restarts:
    """Decides the delay after each death. Times are of a monotonic clock, in s."""

    def __init__(self) -> None:
        self._crashes_in_a_row = 0
        self._tokens = _TOKENS
        self._refilled_at = 0.0

    def delay_s(self, now: float, *, made_progress: bool) -> float:
        """Seconds to wait after a death at `now`; `made_progress` if the worker had done any work."""
        if not made_progress:
            self._crashes_in_a_row += 1
            # The first may be an accident; from the second on there is a reason for it.
            steps = min(self._crashes_in_a_row - 2, 16)
            return min(_FIRST_S * 2**steps, _LARGEST_S) if steps >= 0 else 0.0
        self._crashes_in_a_row = 0
        self._tokens = min(_TOKENS, self._tokens + (now - self._refilled_at) * _TOKENS_PER_S) - 1
        self._refilled_at = now
        return max(0.0, -self._tokens / _TOKENS_PER_S)


# One worker process of control: started by fork, restarted ever more slowly if it keeps dying.

#: Exit status of a worker that says that no restart can help.
FATAL_STATUS: Final = 3
#: So many of the last deaths are kept with their times.
_DEATHS: Final = 5
#: The signals for which control has handlers.
_HANDLED: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
#: Those that a worker deals with once it has a loop (`Wakeup`); until then they are held back.
_LATER: Final = frozenset(log.CHORES)


@dataclass(frozen=True, slots=True)
class Role:
    """What a worker is: its name, what it runs, and the signal that tells it of control's death.

    `main` is given the worker's end of the link and runs until the work is done.
    """

    name: str
    main: Callable[[Link], None]
    on_orphaned: signal.Signals


class Worker:
    """The process that plays a role, or the plan to start one."""

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
        #: The number of the settings that it goes by.
        self.settings_number = 0
        self._pace = Restarts()

    @property
    def alive(self) -> bool:
        """Whether there is a process that was not reaped yet."""
        return self.pid != 0

    def start(self, in_child: Callable[[], None]) -> None:
        """Fork. `in_child` gives up what belongs to control alone.

        Raises `OSError` if the host has no process or no descriptors for it; nothing is left of that.
        """
        self.fatal, self.made_progress = "", False
        ours, theirs = Link.pair()
        parent = os.getpid()
        # A signal must meet either control's handlers or the child's own, never a mix of both.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED | _LATER)
        try:
            pid = os.fork()
            if pid == 0:
                ours.close()
                _run(self.role, theirs, parent, in_child)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        self.pid, self.link = pid, ours
        self.started_ms = now_ms()
        _LOG.info("The %s is started as process %d.", self.role.name, pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if there is a process. It is our child and not reaped, so it is the one."""
        if self.alive:
            os.kill(self.pid, number)

    def reap(self) -> int | None:
        """The exit status of the process, or minus the signal that ended it; None if none has ended."""
        if not self.alive:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def note_death(self, how: str) -> None:
        """Keep why the process ended, or why there is none, and plan when to start the next one."""
        self.last_death = f"{how}: {self.fatal}" if self.fatal else how
        self.close_link()
        now = time.monotonic()
        self.start_at = now + self._pace.delay_s(now, made_progress=self.made_progress)
        self.restarts += 1
        self.deaths_ms.append(now_ms())

    def kill(self, wait_s: float) -> None:
        """End it at once; wait for that no longer than `wait_s`."""
        if self.alive:
            kill_and_wait(self.pid, wait_s)
            self.reap()

    def close_link(self) -> None:
        """Forget the link of a process that is gone."""
        if self.link is not None:
            self.link.close()
            self.link = None
        self.troubles = {}


def ending(code: int) -> str:
    """How a process has ended, in words, by what `Worker.reap` gives."""
    return f"signal {_signal_name(-code)}" if code < 0 else f"exit status {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals
        return str(number)


def _run(role: Role, link: Link, parent: int, in_child: Callable[[], None]) -> None:
    """Be the worker, and never return: the rest of this process's stack is control's."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        # It is told of new settings by control; what hangs up a whole group must not end it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        die_with(parent, role.on_orphaned)
        in_child()
        role.main(link)
        status = 0
    except PattooError as error:
        _LOG.error("%s", error)
        _tell(link, str(error))
        status = FATAL_STATUS
    except BaseException:  # noqa: BLE001 - the outermost loop of a worker: logged, and its status tells
        _LOG.exception("The %s ends by an error.", role.name)
    finally:
        logging.shutdown()
        os._exit(status)


def _tell(link: Link, reason: str) -> None:
    try:
        link.send(Kind.FATAL, reason)
    except LinkClosedError:
        _LOG.error("Control is gone and cannot be told.")
