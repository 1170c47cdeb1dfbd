"""Whether control is alive although its process is there, and what is to be done if it is not.

Control answers for its status from the loop that does its work, so an answer is the heartbeat of
that loop. The workers' heartbeats are control's business: it replaces the one that is silent.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import paths
from pattoo_mp.control.run_directory import running_pid
from pattoo_mp.control.status_socket import ask
from pattoo_mp.errors import PattooError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

    from pattoo_mp.operate.supervisor import Supervisor

_LOG = logging.getLogger(__name__)

_RUNNING: Final = "RUNNING"


class Pulse(Enum):
    """What came of asking control."""

    BEATS = "answers"
    SILENT = "does not answer"
    UNKNOWN = "cannot be asked"


@dataclass(frozen=True, slots=True)
class Process:
    """What supervisord knows of a process that it runs; `pid` is 0 where there is none."""

    pid: int
    state: str

    @classmethod
    def of(cls, info: dict[str, Any]) -> Process:
        """Read it from the answer of `getProcessInfo`."""
        return cls(int(info["pid"]), str(info["statename"]))


def feel(socket: Path, answer_s: float) -> tuple[Pulse, str]:
    """Ask control at `socket` and wait `answer_s` for its answer; the reason, if it is not heard.

    Only a control process that took our question, or has a queue of them, and says nothing is silent.
    A socket that is not there, or that we may not use, is something else: it starts, it
    ends, or we are the wrong user. To restart it would mend nothing.
    """
    try:
        ask(socket, answer_s)
    except (TimeoutError, BlockingIOError):
        return Pulse.SILENT, f"no answer within {answer_s:g} s"
    except OSError as error:
        return Pulse.UNKNOWN, f"{socket}: {error.strerror or error}"
    return Pulse.BEATS, ""


def is_hung(before: Process, pulse: Pulse, after: Process) -> bool:
    """Whether the agent must be restarted: it was silent, and there, and meant to run, all the while.

    `before` and `after` are what supervisord said before control was asked, and after. One that
    is being started or stopped has another state, or will have another process.
    """
    return pulse is Pulse.SILENT and before == after and before.state == _RUNNING


# supervisord's event listener: at each of its ticks it sees to it that control is alive.
#
# The protocol is three lines (http://supervisord.org/events.html), so they stand here:
# `supervisor.childutils` has them too, imports 8 MB, and ends by a KeyError with supervisord.

_TICK: Final = "TICK_"
#: Two questions and a rest fit between two ticks. Control answers within a millisecond.
_QUESTIONS_A_TICK: Final = 3


def ticks(stdin: TextIO, stdout: TextIO) -> Iterator[int]:
    """The seconds between two ticks, at each tick that supervisord sends, until it ends.

    The next is asked for when the caller is done with the last.
    """
    while True:
        _say(stdout, "READY\n")
        header = dict(pair.split(":", 1) for pair in stdin.readline().split())
        if not header:
            return
        stdin.read(int(header["len"]))
        event = header["eventname"]
        if event.startswith(_TICK):
            yield int(event.removeprefix(_TICK))
        _say(stdout, "RESULT 2\nOK")


def _say(stdout: TextIO, words: str) -> None:
    stdout.write(words)
    stdout.flush()


class HeartbeatListener:
    """Restarts the agent, through the supervisord that runs us both, if control hangs.

    `find` gives the agent's `system_daemon_directory`, as the configuration has it now. How patient
    this is follows from the ticks: control has two times a third of a tick to answer.
    """

    def __init__(self, find: Callable[[], Path], environment: Mapping[str, str]) -> None:
        self._find = find
        self._environment = environment
        self._said = ""

    def tick(self, period_s: int) -> None:
        """Ask control; restart it if it hangs. What goes wrong is logged, once as long as it lasts."""
        try:
            trouble = self._look(self._find(), period_s / _QUESTIONS_A_TICK)
        except PattooError as error:
            trouble = str(error)
        if trouble and trouble != self._said:
            _LOG.warning("The agent is left alone: %s.", trouble)
        self._said = trouble

    def _look(self, directory: Path, answer_s: float) -> str:
        """Why nothing can be done; empty if all is well, is well again, or does not run."""
        socket = paths.status_socket(directory)
        pid = running_pid(paths.pid_file(directory))
        if pid is None:
            return ""
        pulse, reason = feel(socket, answer_s)
        if pulse is not Pulse.SILENT:
            return reason
        # An import that costs memory, and is for the day when something hangs.
        from pattoo_mp.operate.supervisor import Supervisor  # noqa: PLC0415

        supervisor = Supervisor.above(self._environment, pid)
        if supervisor is None:
            return f"process {pid} gives {reason}, but is not run by this supervisord"
        before = Process.of(supervisor.info())
        # The whole host may have stood still; then we wake together. So ask once more.
        pulse, reason = feel(socket, answer_s)
        if not is_hung(before, pulse, Process.of(supervisor.info())):
            return "" if pulse is Pulse.SILENT else reason
        _restart(supervisor, before, reason)
        return ""


def _restart(supervisor: Supervisor, process: Process, reason: str) -> None:
    _LOG.error(
        "%s (process %d) hangs: %s, twice; it is restarted.", supervisor.name, process.pid, reason
    )
    supervisor.restart()
    pid = Process.of(supervisor.info()).pid
    _LOG.warning("%s is restarted, as process %d.", supervisor.name, pid)
