"""The agent as others see it, by the marks that its control process leaves."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import paths
from pattoo_mp.config import isolated
from pattoo_mp.control.run_directory import cut_short, running_pid
from pattoo_mp.control.status_socket import ask
from pattoo_mp.errors import PattooError, where_and_why
from pattoo_mp.ipc.messages import STOP_S
from pattoo_mp.paths import config_directory
from pattoo_mp.util.files import not_ours

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from pathlib import Path

    from pattoo_mp.operate.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent whose state lies in `directory` (`system_daemon_directory`).

    `configuration` is where the files lie that say so, if any do.
    """

    directory: Path
    configuration: Path | None = None

    @property
    def pid_file(self) -> Path:
        """What its control process has locked while it runs."""
        return paths.pid_file(self.directory)

    @property
    def pid(self) -> int | None:
        """The control process, if one runs. Raises `PattooError` if we may not know."""
        return running_pid(self.pid_file)

    @property
    def cut_short(self) -> int:
        """The control process of the last run, if that did not end in order; else 0."""
        return cut_short(self.directory)

    def status(self) -> dict[str, Any]:
        """What the control process says. Raises `OSError` if it does not answer."""
        return ask(paths.status_socket(self.directory))

    def supervisor(self, pid: int | None) -> Supervisor | None:
        """The supervisord that runs it, by the note of its control process; `pid` as `Supervisor.of`.

        Raises `PattooError` if we may not know.
        """
        note = paths.supervisor_file(self.directory)
        try:
            if not note.exists():
                return None
        except PermissionError as error:
            raise PattooError(f"{where_and_why(error)}; expected its user or root") from error
        # It costs 3 MB and 13 ms, and hardly any agent has one.
        from pattoo_mp.operate.supervisor import Supervisor  # noqa: PLC0415

        return Supervisor.of(note, pid)


# Signals to a control process that is not our child.


def send_signal(pid: int, *numbers: signal.Signals, to_group: bool = False) -> None:
    """Signal the process `pid`, or all of the group that it leads, if it leads one.

    One that is gone is no error. Raises `PattooError` if it is not ours to signal.
    """
    try:
        target = -pid if to_group and os.getpgid(pid) == pid else pid
        for number in numbers:
            os.kill(target, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise PattooError(
            f"process {pid}: we may not signal it{not_ours(pid)}; expected its user or root"
        ) from error


# Waits for what another process does, and for no longer than that may take.

#: For a stop, and for its end to be seen (s).
STOPPED_S: Final = STOP_S + 5.0
_LOOK_S: Final = 0.05


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` comes true within so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_S)
    return True


# The agent that the configuration in force speaks of.


def agent() -> Agent:
    """Find it by its directories alone: a broken setting must not keep anyone from a stop."""
    directory = config_directory()
    return Agent(isolated.find(directory), directory)


def agent_to_start() -> Agent:
    """Find it by a configuration that it can start with; the directories that this names are made.

    Raises `ConfigError`.
    """
    directory = config_directory()
    return Agent(isolated.load(directory).system_daemon_directory, directory)
