"""The heartbeat listener: a supervisord event listener that restarts the agent when control hangs.

At each of supervisord's ticks it asks the control process for its status. Control answers from its
main loop, so an answer is the heartbeat of that loop. The workers' heartbeats are checked by
control, which replaces a worker that hangs.

The event protocol is three lines (http://supervisord.org/events.html), so it is implemented here:
`supervisor.childutils` also has it, but imports 8 MB, and raises KeyError when supervisord ends.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import paths
from pattoo_mp.control.run_directory import UNNAMED, holder, running_pid
from pattoo_mp.control.status_socket import ask
from pattoo_mp.errors import PattooError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

    from pattoo_mp.operate.supervisor import Supervisor

_LOG = logging.getLogger(__name__)

_RUNNING: Final = "RUNNING"
_TICK: Final = "TICK_"
#: Two questions and a pause fit between two ticks. Control usually answers within a millisecond.
_QUESTIONS_A_TICK: Final = 3


class Heartbeat(Enum):
    """The result of asking control for its status."""

    ANSWERED = "answers"
    MISSING = "does not answer"
    UNKNOWN = "cannot be asked"


@dataclass(frozen=True, slots=True)
class Process:
    """What supervisord reports about a program that it runs; `pid` is 0 if it has no process."""

    pid: int
    state: str

    @classmethod
    def of(cls, info: dict[str, Any]) -> Process:
        """Read the answer of `getProcessInfo`."""
        return cls(int(info["pid"]), str(info["statename"]))


def check_heartbeat(socket: Path, answer_s: float) -> tuple[Heartbeat, str]:
    """Ask control at `socket`; if no answer comes within `answer_s`, return the reason, too.

    The heartbeat is missing only if control accepted our question, or has a full queue of them, and
    does not answer. A socket that does not exist, or that we may not use, is something else: the
    agent is starting or ending, or we are the wrong user. A restart would not help.
    """
    try:
        ask(socket, answer_s)
    except (TimeoutError, BlockingIOError):
        return Heartbeat.MISSING, f"no answer within {answer_s:g} s"
    except OSError as error:
        return Heartbeat.UNKNOWN, f"{socket}: {error.strerror or error}"
    return Heartbeat.ANSWERED, ""


def is_hung(before: Process, heartbeat: Heartbeat, after: Process) -> bool:
    """Whether the agent must be restarted: no heartbeat, though it was meant to run all the time.

    `before` and `after` are what supervisord reported before and after control was asked. An agent
    that is being started or stopped has another state then, or another process.
    """
    return heartbeat is Heartbeat.MISSING and before == after and before.state == _RUNNING


def ticks(stdin: TextIO, stdout: TextIO) -> Iterator[int]:
    """Yield at each tick that supervisord sends, until it ends: the seconds between two ticks.

    A tick is acknowledged, and the next one requested, when the caller asks for the next.
    """
    while True:
        _write(stdout, "READY\n")
        header = dict(pair.split(":", 1) for pair in stdin.readline().split())
        if not header:
            return
        stdin.read(int(header["len"]))
        event = header["eventname"]
        if event.startswith(_TICK):
            yield int(event.removeprefix(_TICK))
        _write(stdout, "RESULT 2\nOK")


def _write(stdout: TextIO, line: str) -> None:
    stdout.write(line)
    stdout.flush()


class HeartbeatListener:
    """Restarts the agent, through the supervisord that runs us both, if control hangs.

    `find` returns the agent's `system_daemon_directory` as currently configured. Its time limit
    follows from the ticks: control has twice a third of a tick to answer.
    """

    def __init__(self, find: Callable[[], Path], environment: Mapping[str, str]) -> None:
        self._find = find
        self._environment = environment
        self._logged = ""

    def tick(self, period_s: int) -> None:
        """Ask control, and restart it if it hangs. A lasting error is logged once."""
        try:
            error = self._check(self._find(), period_s / _QUESTIONS_A_TICK)
        except PattooError as raised:
            error = str(raised)
        if error and error != self._logged:
            _LOG.warning("Not restarting the agent: %s.", error)
        self._logged = error

    def _check(self, directory: Path, answer_s: float) -> str:
        """Check the agent and restart it if it hangs; return why that was not possible.

        The result is empty if the agent is well, well again, restarted, or stopped.
        """
        socket = paths.status_socket(directory)
        pid = running_pid(paths.pid_file(directory))
        if pid is None:
            return ""
        heartbeat, reason = check_heartbeat(socket, answer_s)
        if heartbeat is not Heartbeat.MISSING:
            return reason
        if pid == UNNAMED:  # in supervisord's answers, 0 is a program that does not run
            return f"{holder(pid)} gave {reason}"
        # The import costs memory, and is needed only when something hangs.
        from pattoo_mp.operate.supervisor import Supervisor  # noqa: PLC0415

        supervisor = Supervisor.above(self._environment, pid)
        if supervisor is None:
            return f"process {pid} gave {reason}, but this supervisord does not run it"
        before = Process.of(supervisor.info())
        # If the whole host stood still, the agent had no chance to answer in time: ask once more.
        heartbeat, reason = check_heartbeat(socket, answer_s)
        if not is_hung(before, heartbeat, Process.of(supervisor.info())):
            return "" if heartbeat is Heartbeat.MISSING else reason
        _restart(supervisor, before, reason)
        return ""


def _restart(supervisor: Supervisor, process: Process, reason: str) -> None:
    _LOG.error(
        "%s (process %d) hangs: %s, twice. Restarting it.", supervisor.name, process.pid, reason
    )
    supervisor.restart()
    pid = Process.of(supervisor.info()).pid
    _LOG.warning("%s was restarted as process %d.", supervisor.name, pid)
