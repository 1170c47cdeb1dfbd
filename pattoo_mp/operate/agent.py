"""The agent as others see it, by the marks that its control process leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pattoo_mp import paths
from pattoo_mp.control.run_directory import cut_short, holder
from pattoo_mp.control.status_socket import ask
from pattoo_mp.errors import PattooError, where_and_why

if TYPE_CHECKING:
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
        return holder(self.pid_file)

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
