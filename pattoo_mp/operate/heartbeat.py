"""Whether control is alive although its process is there, and what is to be done if it is not.

Control answers for its status from the loop that does its work, so an answer is the heartbeat of
that loop. The workers' heartbeats are control's business: it replaces the one that is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.control.status_socket import ask

if TYPE_CHECKING:
    from pathlib import Path

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
