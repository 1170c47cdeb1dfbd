"""Finding an agent and asking about it, from the files and the socket of its control process.

Also here: waiting with a time limit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import paths
from pattoo_mp.config import isolated
from pattoo_mp.control.run_directory import cut_short_pid, running_pid
from pattoo_mp.control.status_socket import ANSWER_S, ask
from pattoo_mp.errors import PattooError, where_and_why
from pattoo_mp.ipc.messages import STOP_S
from pattoo_mp.paths import config_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from pattoo_mp.operate.supervisor import Supervisor


#: Time limit of a stop as seen from outside (s): the stop itself, and noticing that it ended.
STOPPED_S: Final = STOP_S + 5.0
_POLL_S: Final = 0.05
#: How long to wait for a status that is only compared (s).
_ASK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent with the state directory `directory` (`system_daemon_directory`).

    `configuration` is the directory of the configuration that names it, if there is one.
    """

    directory: Path
    configuration: Path | None = None

    @property
    def pid_file(self) -> Path:
        """The file that its control process keeps locked while it runs."""
        return paths.pid_file(self.directory)

    @property
    def pid(self) -> int | None:
        """The number of the control process, if it runs, as `running_pid` gives it.

        Only for people: `control_process.held_control` gives a process to signal. Raises `PattooError`
        without permission to look.
        """
        return running_pid(self.pid_file)

    @property
    def cut_short(self) -> int:
        """The control process of the last run, if that did not end in order; else 0."""
        return cut_short_pid(self.directory)

    def status(self, answer_s: float = ANSWER_S) -> dict[str, Any]:
        """Ask the control process for its status.

        Raises `OSError` without an answer in `answer_s`, and `StatusError` if that is no status.
        """
        path = paths.status_socket(self.directory)
        status = ask(path, answer_s)
        # Only commands that ask an agent need it.
        from pattoo_mp.operate import status_answer  # noqa: PLC0415

        status_answer.check(status, path)
        return status

    def supervisor(self, pid: int | None) -> Supervisor | None:
        """Return the supervisord that manages the agent, from the note that control left.

        `pid` as in `Supervisor.of`. Raises `PattooError` without permission to read the note.
        """
        note = paths.supervisor_file(self.directory)
        try:
            if not note.exists():
                return None
        except PermissionError as error:
            raise PattooError(f"{where_and_why(error)}; expected its user or root") from error
        # The import costs 3 MB and 13 ms, and hardly any agent runs under supervisord.
        from pattoo_mp.operate.supervisor import Supervisor  # noqa: PLC0415

        return Supervisor.of(note, pid)


def configured_agent() -> Agent:
    """Return the configured agent.

    Only the directories in its configuration are read: an invalid setting must not prevent a stop.
    """
    directory = config_directory()
    return Agent(isolated.read_system_daemon_directory(directory), directory)


def startable_agent() -> Agent:
    """Check the whole configuration, make its directories, and return the configured agent.

    Raises `ConfigError` if the agent could not start with it.
    """
    directory = config_directory()
    return Agent(isolated.load(directory).system_daemon_directory, directory)


def other_variables(agent: Agent, ours: Iterable[str]) -> list[str]:
    """Return `differing_variables` of a running agent; nothing of one that does not run or answer."""
    try:
        return differing_variables(agent.status(_ASK_S), ours)
    except (OSError, PattooError):
        return []


def differing_variables(status: Mapping[str, Any], ours: Iterable[str]) -> list[str]:
    """Return a line for the variables that only a running agent has, and one for those that only we have.

    `ours` are those of our environment that override settings. Their values are not compared: an agent keeps
    those that it was started with.
    """
    control, theirs = f"process {status['control']['pid']}", set(status.get("variables", ()))
    only_theirs, only_ours = theirs.difference(ours), set(ours) - theirs
    lines = []
    if only_theirs:
        lines.append(
            f"{', '.join(sorted(only_theirs))}: the running agent ({control}) has this in its environment, "
            "and this command has not"
        )
    if only_ours:
        lines.append(
            f"{', '.join(sorted(only_ours))}: this command has this in its environment, and the running agent "
            f"({control}) has not"
        )
    return lines


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until `condition` is true; return False if it is not within `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_S)
    return True
