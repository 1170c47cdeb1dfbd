"""Check the agent's process: whether it runs, which supervisor restarts it, and its troubles."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.control.run_directory import holder
from pattoo_mp.doctor.finding import Finding, note, ok, trouble
from pattoo_mp.errors import NotOurSupervisorError, PattooError, StatusError
from pattoo_mp.operate.agent import Agent, differing_variables
from pattoo_mp.operate.supervisor import Supervisor
from pattoo_mp.program import this_program
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.util.files import process_owner
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.config.values import Config

#: A supervisord answers within milliseconds. Less than `Supervisor` waits, which then takes it for ended.
_SUPERVISOR_S: Final = 4.0
_UNIT: Final = re.compile(r"/([^/\n]+\.service)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Running:
    """The agent's control process, as far as it is known.

    - `pid`: the process, None if no agent runs.
    - `supervisor`: what restarts it; `supervisor_error` says why that is unknown.
    - `blocked`: a supervisord that tries to start the agent and cannot, because the agent was
      started in another way.
    - `error`: why no more is known, for example for lack of permission.
    - `no_answer`: why its status socket did not answer.
    - `troubles`: the number of troubles in its status.
    - `variables`: lines about variables of the environment that only it has, or only we have.
    - `cut_short_pid`: the control process of the last run, if that did not end in order; else 0.
    """

    pid: int | None = None
    supervisor: str = ""
    supervisor_error: str = ""
    error: str = ""
    no_answer: str = ""
    troubles: int = 0
    cut_short_pid: int = 0
    blocked: str = ""
    variables: tuple[str, ...] = ()


def check_process(config: Config) -> Running:
    """Ask the PID file's lock, the status socket, and supervisord, if there is one."""
    agent = Agent(config.system_daemon_directory)
    try:
        pid = agent.pid
    except PattooError as error:
        return Running(error=str(error))
    supervisor, blocked, supervisor_error = "", "", ""
    try:
        supervisor = _within_limit("supervisor", partial(_supervisor, config), pid)
        blocked = _within_limit("blocked supervisor", partial(_blocked, config), pid)
    except NoAnswerError as error:
        supervisor_error = str(error)
    if pid is None:
        return Running(
            supervisor=supervisor,
            supervisor_error=supervisor_error,
            cut_short_pid=agent.cut_short,
        )
    try:
        status = agent.status()
    except PermissionError:
        error_line = f"no permission to ask {holder(pid)}{process_owner(pid)}"
        return Running(pid, supervisor, supervisor_error, error=error_line)
    except OSError as error:
        return Running(pid, supervisor, supervisor_error, no_answer=error.strerror or str(error))
    except StatusError as error:
        return Running(pid, supervisor, supervisor_error, no_answer=str(error))
    troubles = len(status["troubles"])
    variables = tuple(differing_variables(status, config.variables))
    return Running(
        pid, supervisor, supervisor_error, troubles=troubles, blocked=blocked, variables=variables
    )


def _within_limit(name: str, question: Callable[[int | None], str], pid: int | None) -> str:
    """Ask about `pid`, for `_SUPERVISOR_S` at most. Raises `NoAnswerError`."""
    return TimeLimited(name, question, _SUPERVISOR_S).ask_one(pid)


def _supervisor(config: Config, pid: int | None) -> str:
    """Return what restarts the agent when it ends; empty if nothing is known to."""
    try:
        supervisord = _supervisord(config, pid)
    except NotOurSupervisorError:
        return "a supervisord that answers only its own user"
    if supervisord or pid is None:
        return supervisord
    with suppress(OSError):
        unit = unit_of(Path(f"/proc/{pid}/cgroup").read_text())
        return f"systemd unit {unit}" if unit else ""
    return ""


def _blocked(config: Config, pid: int | None) -> str:
    """Return the supervisord that cannot start the agent because `pid` runs; empty if none."""
    with suppress(NotOurSupervisorError):
        if pid is not None and not _supervisord(config, pid):
            return _supervisord(config, None)
    return ""


def _supervisord(config: Config, pid: int | None) -> str:
    """Return the supervisord that a control process noted, with its state for the agent.

    `pid` is as in `Supervisor.of`.
    """
    supervisor = Supervisor.of(paths.supervisor_file(config.system_daemon_directory), pid)
    with suppress(PattooError):
        if supervisor is not None:
            return f"supervisord at {supervisor.url} ({supervisor.info()['statename']})"
    return ""


def unit_of(cgroups: str) -> str:
    """Return the systemd service of a process, from its /proc/PID/cgroup; empty if it has none.

    Processes that a person starts by hand are below user@UID.service, in units of other kinds.
    """
    found = _UNIT.search(cgroups)
    return found[1] if found and not found[1].startswith("user@") else ""


def findings(running: Running, *, is_user: bool = False) -> Iterator[Finding]:
    """Yield findings on the process, its last run, its supervisor and its troubles.

    `is_user` says that this command runs as the agent's user, so that only root can do more.
    """
    if running.supervisor_error:
        yield trouble(
            "supervisord",
            running.supervisor_error,
            "restart supervisord: --start, --stop and --restart wait for it",
        )
    yield _process(running, is_user=is_user)
    if running.blocked:
        yield note(
            "supervisord",
            f"{running.blocked[len('supervisord ') :]} cannot start the agent while that process "
            "runs",
            "use --restart: it stops the process, and lets supervisord start the agent",
        )
    for line in running.variables:
        yield note("variables", line, "give both the same: this command examines other settings")
    if running.cut_short_pid:
        # It is a trouble if the agent still does not run: no operator stopped it.
        report = trouble if running.pid is None and not running.error else note
        yield report(
            "last run",
            f"process {running.cut_short_pid} did not end in order: it was killed, it crashed, or the "
            "host went down",
            f"find out which: see {this_program().log_name}, dmesg -T and last -x",
        )
    if running.troubles:
        yield trouble(
            "status",
            f"reports {counted(running.troubles, 'trouble')}",
            "run --status: it explains what to do",
        )


def _process(running: Running, *, is_user: bool) -> Finding:
    if running.error:
        user = "root" if is_user else "the user that runs the agent, or as root"
        return note("process", running.error, f"run --doctor as {user}")
    if running.pid is None:
        known_to = f" (known to {running.supervisor})" if running.supervisor else ""
        return note(
            "process", f"not running{known_to}", "start it once everything here is in order"
        )
    if running.no_answer:
        return trouble(
            "process",
            f"{running.pid or holder(running.pid)} does not answer ({running.no_answer})",
            "restart the agent; if it hangs, use --stop --force",
        )
    started = (
        f"run by {running.supervisor}"
        if running.supervisor
        else "started by hand: nothing restarts it"
    )
    return ok("process", f"{running.pid or holder(running.pid)}, {started}")
