"""Starting, stopping and reloading the agent from another process.

Where a supervisord manages the agent, starting and stopping go through it. `start` returns once
polls flow, `stop` once the whole process group has ended, `reload` once the workers use the new
settings.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.control.run_directory import holder, remove_status_socket
from pattoo_mp.errors import AlreadyRunningError, ConfigError, PattooError, StartError, StatusError
from pattoo_mp.ipc.messages import READY
from pattoo_mp.operate.agent import STOPPED_S, wait_for
from pattoo_mp.operate.control_process import (
    held_control,
    held_processes,
    held_team,
    signal_control,
    signal_team,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.operate.agent import Agent
    from pattoo_mp.util.held_process import HeldProcess

    Answer = dict[str, Any]


#: Time limit from the start to the first poll in the spool (s): ten seconds to a tick, and a slow
#: name server.
_START_S: Final = 30.0
#: A start whose spool takes nothing for so long (s) has failed.
_NO_SPOOL_S: Final = 2.0
#: How often a start asks for the status (s).
_ASK_S: Final = 0.5
_KILL_S: Final = 5.0
#: How long the workers may take to disappear once control has ended, which waited for them (s).
_LEFT_S: Final = 2.0
#: Time limit until killed workers have ended, before control is killed, too (s).
_KILL_TEAM_S: Final = 1.0
#: Time limit until both workers use the new settings (s): one may be in the middle of a slow sync.
RELOAD_S: Final = 15.0
_POLL_S: Final = 0.05
_SYSTEMD_VARIABLES: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


# Start.


def own_command() -> list[str]:
    """The command line that runs this program again, without its arguments."""
    return [sys.executable, os.path.abspath(sys.argv[0])]  # noqa: PTH100 - keeps a symlink's name


def start(agent: Agent, command: list[str], environment: Mapping[str, str]) -> None:
    """Start `command` as the control process of `agent`; return once polls flow.

    `environment` is added to our own. A supervisord that manages the agent starts it instead, with
    the command of its own configuration. Raises `AlreadyRunningError`, or `StartError` with the
    reason.
    """
    pid = agent.pid
    if pid is not None:
        raise AlreadyRunningError(f"the agent runs already, as {holder(pid)}")
    supervisor = agent.supervisor(None)
    if supervisor is None:
        _detach(agent, command, environment)
        return
    if supervisor.may_run:
        supervisor.stop()  # it is waiting to retry; end that, to start now
    supervisor.start()
    watch = _StartWatch(agent)
    if not wait_for(lambda: _polls_flow(agent) or watch.is_over, _START_S) or watch.is_over:
        raise StartError(watch.reason)


def _polls_flow(agent: Agent) -> bool:
    try:
        polls = agent.status()["polls"]
    except (OSError, StatusError):
        return False
    return bool(polls["since_start"] > polls["in_channel"])


class _StartWatch:
    """Notices early that a start of `agent` cannot succeed: its spool takes nothing, as on a full disk."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._began = self._ask_at = time.monotonic()
        self._failing_since: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the spool has taken nothing for some time. Asks the agent now and then."""
        now = time.monotonic()
        if now >= self._ask_at:
            self._ask_at = now + _ASK_S
            if not self._reason("spool"):
                self._failing_since = None
            elif self._failing_since is None:
                self._failing_since = now
        return self._failing_since is not None and now - self._failing_since >= _NO_SPOOL_S

    @property
    def reason(self) -> str:
        """The error that no poll was stored in time, with that of the spool, or all troubles of the workers."""
        reason = self._reason("spool") or self._reason()
        why = f" ({reason})" if reason else ""
        return f"no poll was stored within {time.monotonic() - self._began:.0f} s{why}"

    def _reason(self, *only: str) -> str:
        """The troubles of the workers, or those named in `only`; empty without any."""
        try:
            workers = self._agent.status()["workers"]
        except (OSError, StatusError):
            return ""
        return "; ".join(
            f"{name}: {reason}"
            for name, worker in workers.items()
            for kind, reason in {"": worker["last_death"], **worker["troubles"]}.items()
            if reason and (not only or kind in only)
        )


def _detach(agent: Agent, command: list[str], environment: Mapping[str, str]) -> None:
    """Run `command` in a new session; return once it writes READY to its `--ready-fd`."""
    read_end, write_end = os.pipe()
    with subprocess.Popen(  # noqa: S603 - our own command line
        [*command, "--ready-fd", str(write_end)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**unsupervised_environment(os.environ), **environment},
        pass_fds=[write_end],
        start_new_session=True,
    ) as process:
        os.close(write_end)
        watch = _StartWatch(agent)
        answer = _read(read_end, _START_S, watch)
        os.close(read_end)
        if answer == READY:
            process.returncode = 0  # it outlives us: keep Popen from waiting for it
            return
        reason = watch.reason if answer is None else ""
        process.terminate()
        try:
            _, stderr = process.communicate(timeout=STOPPED_S)
        except subprocess.TimeoutExpired:
            process.kill()
            stderr = b""
    raise StartError(reason or _last_error(stderr))


def _read(descriptor: int, seconds: float, watch: _StartWatch) -> bytes | None:
    """Read from a pipe, b"" at its end; None if nothing arrived within `seconds`, or never will."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([descriptor], [], [], _ASK_S)[0]:
            return os.read(descriptor, len(READY))
        if watch.is_over:
            break
    return None


def _last_error(stderr: bytes) -> str:
    """The message of the last error line on the stderr of a process that did not start."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    if not lines:
        return "the agent ended without an error message"
    return lines[-1].rpartition(": error: ")[2]


def unsupervised_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without the variables by which supervisord or systemd is recognised.

    They may have started us, but they do not manage the process that we start.
    """
    return {
        name: value
        for name, value in environment.items()
        if name not in _SYSTEMD_VARIABLES and not name.startswith("SUPERVISOR_")
    }


# Stop.


@dataclass(frozen=True, slots=True)
class Stopped:
    """Whether the agent was running, and its processes that are left: they cannot be killed."""

    was_running: bool
    left: tuple[int, ...] = ()


def stop(agent: Agent, *, force: bool) -> Stopped:
    """Stop `agent` in order, or with `force` by SIGKILL of its process group.

    A supervisord that manages the agent stops it, or with `force` is told not to restart it. One that
    keeps trying to start a second agent, beside one that was started by hand, is told to give up.
    A process that hangs in the kernel cannot be killed. It is not waited for once control has ended.
    Raises `PattooError` if control does not end in time.
    """
    pid = agent.pid
    supervisor = agent.supervisor(pid)
    is_supervised = supervisor is not None and supervisor.may_run
    if supervisor is not None and is_supervised and not force:
        with held_processes(pid) as processes:
            supervisor.stop()
            if pid is not None and not wait_for(lambda: agent.pid != pid, _KILL_S):
                raise PattooError(
                    f"supervisord at {supervisor.url} says that the agent is stopped, but process {pid} "
                    "runs; expected --stop --force"
                )
            return Stopped(pid is not None, _left(processes, _LEFT_S))
    with held_control(agent) as control:
        if supervisor is not None and is_supervised:
            supervisor.begin_stop()
        if control is None:
            return Stopped(was_running=False)
        if supervisor is None:
            _stop_retries(agent)
        with held_processes(control.pid) as processes:
            _end(agent, control, force=force)
            # Control has killed its workers, or SIGKILL has.
            return Stopped(True, _left(processes, _KILL_S if force else _LEFT_S))


def _left(processes: list[HeldProcess], within_s: float) -> tuple[int, ...]:
    """Return those of the processes that have not ended in time: a thread of them still runs."""
    wait_for(lambda: all(process.has_ended for process in processes), within_s)
    return tuple(process.pid for process in processes if not process.has_ended)


def _end(agent: Agent, control: HeldProcess, *, force: bool) -> None:
    """End `control` and its team. Raises `PattooError` if they do not end in time."""
    if force:
        _kill(control)
    else:
        _terminate(control)
    pid, limit_s = control.pid, _KILL_S if force else STOPPED_S
    if not wait_for(lambda: agent.pid != pid, limit_s):
        raise PattooError(
            f"the agent (process {pid}) did not end within {limit_s:g} s"
            + ("" if force else "; --force kills it")
        )
    if force:
        remove_status_socket(agent.directory)


def _terminate(control: HeldProcess) -> None:
    with held_team(control) as team:
        # A process that SIGSTOP stopped receives SIGTERM only after SIGCONT.
        signal_control(control, signal.SIGTERM, signal.SIGCONT)
        signal_team(team, signal.SIGTERM, signal.SIGCONT)


def _kill(control: HeldProcess) -> None:
    """Kill the team, then `control`: a killed control ends no worker.

    Until then control is only stopped, so it starts no other process, and no other process gets its
    number or that of its group.
    """
    signal_control(control, signal.SIGSTOP)
    wait_for(lambda: not _kill_team(control), _KILL_TEAM_S)
    signal_control(control, signal.SIGKILL)


def _kill_team(control: HeldProcess) -> bool:
    """Kill the processes of the team that have not ended yet; return whether there were any."""
    with held_team(control) as team:
        signal_team(team, signal.SIGKILL)
        return bool(team)


def _stop_retries(agent: Agent) -> None:
    """Stop supervisord's retries, or it would start the agent once ours exits."""
    supervisor = agent.supervisor(None)
    if supervisor is not None and supervisor.may_run:
        supervisor.stop()


# Reload.


def reload(agent: Agent, pid: int, within_s: float = RELOAD_S) -> list[str]:
    """Make `agent`, whose control process is `pid`, read its configuration again and apply it.

    The agent reads its own files, which may not be the ones that our environment names. Returns the
    names of the changed settings. Raises `ConfigError` with the agent's problems if it refuses the
    configuration, and `PattooError` if it has not applied it within `within_s`.
    """
    until = time.monotonic() + within_s
    with held_control(agent) as control:
        if control is None or control.pid != pid:
            raise _ended(pid)
        now = _answer(agent, pid, until, lambda _: True)
        # A reading that is under way gets the next number, and may have missed our changes.
        before = now["number"] + (1 if now.get("reading") else 0)
        signal_control(control, signal.SIGHUP)
    # Any later reading began after our changes, even if another process asked for it.
    found = _answer(agent, pid, until, lambda answer: answer["number"] > before)
    if found["problems"]:
        raise ConfigError(found["problems"])
    _answer(agent, pid, until, lambda answer: not answer["waiting_for"])
    return list(found["changed"])


def _answer(agent: Agent, pid: int, until: float, enough: Callable[[Answer], bool]) -> Answer:
    """Ask control for its reload status until that is `enough`; return it."""
    answer: Answer = {}
    while True:
        if agent.pid != pid:
            raise _ended(pid)
        with contextlib.suppress(OSError):
            answer = agent.status()["reload"]
            if enough(answer):
                return answer
        if time.monotonic() >= until:
            raise PattooError(_not_in_time(pid, answer))
        time.sleep(_POLL_S)


def _ended(pid: int) -> PattooError:
    return PattooError(f"the agent (process {pid}) ended during the reload")


def _not_in_time(pid: int, answer: Answer) -> str:
    late = answer.get("waiting_for")
    if late:
        return (
            f"the new settings are valid, but not yet used by the {' and the '.join(late)}; "
            "they will be as soon as possible"
        )
    return f"the agent (process {pid}) does not answer; see --status"
