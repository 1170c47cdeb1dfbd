"""Whether an agent runs, under which supervisor, and what it complains of."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.doctor.finding import Finding, note, trouble, well
from pattoo_mp.errors import NotOurSupervisorError, PattooError
from pattoo_mp.operate.agent import Agent
from pattoo_mp.operate.supervisor import Supervisor
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.util.files import not_ours
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config

#: A supervisord answers within milliseconds.
_KEEPER_S: Final = 5.0
_UNIT: Final = re.compile(r"/([^/\n]+\.service)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Running:
    """What is known of the agent's process. `error` says why we may not know more.

    `keeper` is who starts it again, `keeper_error` why that is not known. `troubles` is how many its
    status speaks of; `silent` is why it did not answer. `cut_short_pid` was control in a last run
    that did not end in order. `beside` is a
    supervisord that tries to run it, and cannot, for it was started by another.
    """

    pid: int | None = None
    keeper: str = ""
    keeper_error: str = ""
    error: str = ""
    silent: str = ""
    troubles: int = 0
    cut_short_pid: int = 0
    beside: str = ""


def look(config: Config) -> Running:
    """Ask the PID file's lock, the agent, and its supervisord, if it has one."""
    agent = Agent(config.system_daemon_directory)
    try:
        pid = agent.pid
    except PattooError as error:
        return Running(error=str(error))
    keeper, beside, keeper_error = "", "", ""
    try:
        keeper = TimeLimited("keeper", partial(_keeper, config), _KEEPER_S).ask_one(pid)
        beside = TimeLimited("beside", partial(_beside, config), _KEEPER_S).ask_one(pid)
    except NoAnswerError as error:
        keeper_error = str(error)
    if pid is None:
        return Running(keeper=keeper, keeper_error=keeper_error, cut_short_pid=agent.cut_short)
    try:
        status = agent.status()
    except PermissionError:
        return Running(pid, keeper, keeper_error, error=f"{pid} may not be asked{not_ours(pid)}")
    except OSError as error:
        return Running(pid, keeper, keeper_error, silent=error.strerror or str(error))
    how_many = len(status.get("troubles", ()))
    return Running(pid, keeper, keeper_error, troubles=how_many, beside=beside)


def _keeper(config: Config, pid: int | None) -> str:
    """Who starts the agent again when it ends; empty if nobody is known to."""
    try:
        noted = _noted(config, pid)
    except NotOurSupervisorError:
        return "a supervisord that only its own user may ask"
    if noted or pid is None:
        return noted
    with suppress(OSError):
        unit = unit_of(Path(f"/proc/{pid}/cgroup").read_text())
        return f"systemd's unit {unit}" if unit else ""
    return ""


def _beside(config: Config, pid: int | None) -> str:
    """A supervisord that was refused, since `pid` runs; empty if none is known."""
    with suppress(NotOurSupervisorError):
        return _noted(config, None) if pid is not None and not _noted(config, pid) else ""
    return ""


def _noted(config: Config, pid: int | None) -> str:
    """The supervisord that a control process noted, with its word for the agent; `pid` as `Supervisor.of`."""
    supervisor = Supervisor.of(paths.supervisor_file(config.system_daemon_directory), pid)
    with suppress(PattooError):
        if supervisor is not None:
            return f"supervisord at {supervisor.url} ({supervisor.info()['statename']})"
    return ""


def unit_of(cgroups: str) -> str:
    """The system service that a process belongs to, from /proc/PID/cgroup; empty if to none.

    What a person starts by hand lies below user@UID.service, in a unit of another kind.
    """
    found = _UNIT.search(cgroups)
    return found[1] if found and not found[1].startswith("user@") else ""


def findings(running: Running, *, is_us: bool = False) -> Iterator[Finding]:
    """Whether it runs, or how it ended, and what it says is wrong; `is_us`: its user asks."""
    if running.keeper_error:
        yield trouble(
            "supervisord",
            running.keeper_error,
            "--start, --stop and --restart wait for it: restart it",
        )
    if running.error:
        whom = "root" if is_us else "the user that runs the agent, or as root"
        yield note("process", running.error, f"ask as {whom}")
    elif running.pid is None:
        under = f", known to {running.keeper}" if running.keeper else ""
        yield note("process", f"none runs{under}", "start it once all is well here")
    elif running.silent:
        yield trouble(
            "process",
            f"{running.pid} does not answer ({running.silent})",
            "restart the agent; --stop --force ends one that hangs",
        )
    else:
        by = (
            f"run by {running.keeper}" if running.keeper else "started by hand: nothing restarts it"
        )
        yield well("process", f"{running.pid}, {by}")
    if running.beside:
        yield note(
            "supervisord",
            f"{running.beside[len('supervisord ') :]} cannot run it beside that one",
            "--restart ends both, and has supervisord start it",
        )
    if running.cut_short_pid:
        yield note(
            "last run",
            f"process {running.cut_short_pid} did not end in order: it was killed, it crashed, or the "
            "host went down",
            "find out which: pattoo.log, dmesg -T and last -x may say more",
        )
    if running.troubles:
        how_many = counted(running.troubles, "trouble")
        yield trouble("status", f"speaks of {how_many}", "ask --status: it says what to do")
