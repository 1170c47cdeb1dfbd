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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.control.run_directory import remove_status_socket
from pattoo_mp.errors import AlreadyRunningError, ConfigError, PattooError, StartError
from pattoo_mp.ipc.messages import READY
from pattoo_mp.operate.agent import STOPPED_S, send_signal, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pattoo_mp.operate.agent import Agent

    Answer = dict[str, Any]


#: Time limit from the start to the first poll in the spool (s): ten seconds to a tick, and a slow
#: name server.
_START_S: Final = 30.0
_KILL_S: Final = 5.0
#: How long the workers may take to disappear once control has ended, which waited for them (s).
_LEFT_S: Final = 2.0
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
        raise AlreadyRunningError(f"the agent runs already, as process {pid}")
    supervisor = agent.supervisor(None)
    if supervisor is None:
        _detach(agent, command, environment)
        return
    if supervisor.may_run:
        supervisor.stop()  # it is waiting to retry; end that, to start now
    supervisor.start()
    if not wait_for(lambda: _polls_flow(agent), _START_S):
        raise StartError(_no_poll(agent))


def _polls_flow(agent: Agent) -> bool:
    try:
        polls = agent.status()["polls"]
    except OSError:
        return False
    return bool(polls["since_start"] > polls["in_channel"])


def _no_poll(agent: Agent) -> str:
    """The error that no poll was stored in time, with the troubles of the workers."""
    try:
        workers = agent.status()["workers"]
    except OSError:
        workers = {}
    reasons = [
        f"{name}: {reason}"
        for name, worker in workers.items()
        for reason in (worker["last_death"], *worker["troubles"].values())
        if reason
    ]
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return f"no poll was stored within {_START_S:g} s{why}"


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
        answer = _read(read_end, _START_S)
        os.close(read_end)
        if answer == READY:
            process.returncode = 0  # it outlives us: keep Popen from waiting for it
            return
        reason = _no_poll(agent) if answer is None else ""
        process.terminate()
        try:
            _, stderr = process.communicate(timeout=STOPPED_S)
        except subprocess.TimeoutExpired:
            process.kill()
            stderr = b""
    raise StartError(reason or _last_error(stderr))


def _read(descriptor: int, seconds: float) -> bytes | None:
    """Read from a pipe, b"" at its end; None if nothing arrived within `seconds`."""
    readable, _, _ = select.select([descriptor], [], [], seconds)
    return os.read(descriptor, len(READY)) if readable else None


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
    with _processes(pid) as processes:
        _stop(agent, pid, processes, force=force)
        # Control has killed its workers, or SIGKILL has.
        wait_for(lambda: not _left(processes), _KILL_S if force else _LEFT_S)
        return Stopped(pid is not None, _left(processes))


def _stop(agent: Agent, pid: int | None, processes: Iterable[int], *, force: bool) -> None:
    """Stop control, and with `force` each of the `processes` (descriptors)."""
    supervisor = agent.supervisor(pid)
    if supervisor is not None and supervisor.may_run:
        if not force:
            supervisor.stop()
            return
        supervisor.begin_stop()
    if pid is None:
        return
    if supervisor is None:
        _stop_retries(agent)
    # A process that SIGSTOP stopped receives SIGTERM only after SIGCONT.
    asked = signal.SIGKILL if force else signal.SIGTERM
    send_signal(pid, asked, signal.SIGCONT, to_group=True)
    # One that was started in a terminal may have no group of its own, and a killed control ends no worker.
    for process in processes if force else ():
        _kill(process)
    limit_s = _KILL_S if force else STOPPED_S
    if not wait_for(lambda: agent.pid != pid, limit_s):
        raise PattooError(
            f"the agent (process {pid}) did not end within {limit_s:g} s"
            + ("" if force else "; --force kills it")
        )
    if force:
        remove_status_socket(agent.directory)


def _stop_retries(agent: Agent) -> None:
    """Stop supervisord's retries, or it would start the agent once ours exits."""
    supervisor = agent.supervisor(None)
    if supervisor is not None and supervisor.may_run:
        supervisor.stop()


@contextlib.contextmanager
def _processes(control: int | None) -> Iterator[dict[int, int]]:
    """Control and its child processes, by their descriptors (pidfd_open(2)), open during the block."""
    found: dict[int, int] = {}
    try:
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and _is_of(process, control):
                with contextlib.suppress(OSError):
                    descriptor = os.pidfd_open(int(process.name))
                    found[descriptor] = int(process.name)
                    if not _is_of(process, control):
                        # It ended, and another process may have its number.
                        del found[descriptor]
                        os.close(descriptor)
        yield found
    finally:
        for descriptor in found:
            os.close(descriptor)


def _is_of(process: Path, control: int | None) -> bool:
    """Whether `process` (/proc/PID) is control or a child of it.

    In its `stat` (proc(5)) the state and the parent follow the name in parentheses.
    """
    with contextlib.suppress(OSError):
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        return str(control) in {process.name, parent}
    return False


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(process, signal.SIGKILL)


def _left(processes: Mapping[int, int]) -> tuple[int, ...]:
    """Return those of the processes that have not ended: a thread of them still runs."""
    ended, _, _ = select.select(processes, [], [], 0)
    return tuple(pid for descriptor, pid in processes.items() if descriptor not in ended)


# Reload.


def reload(agent: Agent, pid: int, within_s: float = RELOAD_S) -> list[str]:
    """Make `agent`, whose control process is `pid`, read its configuration again and apply it.

    The agent reads its own files, which may not be the ones that our environment names. Returns the
    names of the changed settings. Raises `ConfigError` with the agent's problems if it refuses the
    configuration, and `PattooError` if it has not applied it within `within_s`.
    """
    until = time.monotonic() + within_s
    now = _answer(agent, pid, until, lambda _: True)
    # A reading that is under way gets the next number, and may have missed our changes.
    before = now["number"] + (1 if now.get("reading") else 0)
    send_signal(pid, signal.SIGHUP)
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
            raise PattooError(f"the agent (process {pid}) ended during the reload")
        with contextlib.suppress(OSError):
            answer = _ask(agent, pid)
            if enough(answer):
                return answer
        if time.monotonic() >= until:
            raise PattooError(_not_in_time(pid, answer))
        time.sleep(_POLL_S)


def _ask(agent: Agent, pid: int) -> Answer:
    answer: Answer | None = agent.status().get("reload")
    if answer is None:
        raise PattooError(f"process {pid} is of a release that cannot reload; expected --restart")
    return answer


def _not_in_time(pid: int, answer: Answer) -> str:
    late = answer.get("waiting_for")
    if late:
        return (
            f"the new settings are valid, but not yet used by the {' and the '.join(late)}; "
            "they will be as soon as possible"
        )
    return f"the agent (process {pid}) does not answer; see --status"
