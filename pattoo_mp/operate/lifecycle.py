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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.control.run_directory import remove_status_socket
from pattoo_mp.errors import AlreadyRunningError, ConfigError, PattooError, StartError
from pattoo_mp.ipc.messages import READY
from pattoo_mp.operate.agent import STOPPED_S, send_signal, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pattoo_mp.operate.agent import Agent

    Answer = dict[str, Any]


#: Time limit from the start to the first poll in the spool (s): ten seconds to a tick, and a slow
#: name server.
_START_S: Final = 30.0
#: A start whose spool takes nothing for so long (s) has failed.
_NO_SPOOL_S: Final = 2.0
#: How often a start asks for the status (s).
_ASK_S: Final = 0.5
_KILL_S: Final = 5.0
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
    watch = _StartWatch(agent)
    if not wait_for(lambda: _polls_flow(agent) or watch.is_over, _START_S) or watch.is_over:
        raise StartError(watch.reason)


def _polls_flow(agent: Agent) -> bool:
    try:
        polls = agent.status()["polls"]
    except OSError:
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
        """The error that no poll was stored in time, with the troubles of the workers."""
        reason = self._reason()
        why = f" ({reason})" if reason else ""
        return f"no poll was stored within {time.monotonic() - self._began:.0f} s{why}"

    def _reason(self, *only: str) -> str:
        """The troubles of the workers, or those named in `only`; empty without any."""
        try:
            workers = self._agent.status()["workers"]
        except OSError:
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


def stop(agent: Agent, *, force: bool) -> bool:
    """Stop `agent` in order, or with `force` by SIGKILL of its process group.

    A supervisord that manages the agent stops it, or with `force` is told not to restart it. One that
    keeps trying to start a second agent, beside one that was started by hand, is told to give up.
    Returns whether the agent was running. Raises `PattooError` if it does not end in time.
    """
    pid = agent.pid
    supervisor = agent.supervisor(pid)
    if supervisor is not None and supervisor.may_run:
        if not force:
            supervisor.stop()
            return pid is not None
        supervisor.begin_stop()
    if pid is None:
        return False
    if supervisor is None:
        _stop_retries(agent)
    # A process that SIGSTOP stopped receives SIGTERM only after SIGCONT.
    asked = signal.SIGKILL if force else signal.SIGTERM
    # One that was started in a terminal may have no group of its own, and a killed control ends no worker.
    with _workers(pid) as workers:
        send_signal(pid, asked, signal.SIGCONT, to_group=True)
        for worker in workers if force else ():
            _kill(worker)
    limit_s = _KILL_S if force else STOPPED_S
    if not wait_for(lambda: agent.pid != pid and not _group_lives(pid), limit_s):
        raise PattooError(
            f"the agent (process {pid}) did not end within {limit_s:g} s"
            + ("" if force else "; --force kills it")
        )
    if force:
        remove_status_socket(agent.directory)
    return True


def _stop_retries(agent: Agent) -> None:
    """Stop supervisord's retries, or it would start the agent once ours exits."""
    supervisor = agent.supervisor(None)
    if supervisor is not None and supervisor.may_run:
        supervisor.stop()


@contextlib.contextmanager
def _workers(control: int) -> Iterator[list[int]]:
    """Descriptors of the child processes of control (pidfd_open(2)), open during the block."""
    found: list[int] = []
    try:
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and _stat(process)[1:2] == [str(control)]:
                with contextlib.suppress(OSError):
                    found.append(os.pidfd_open(int(process.name)))
                    if _stat(process)[1:2] != [str(control)]:
                        os.close(found.pop())  # it ended, and another process may have its number
        yield found
    finally:
        for descriptor in found:
            os.close(descriptor)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(process, signal.SIGKILL)


def _group_lives(group: int) -> bool:
    """Whether a process of `group` runs; zombies do not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return any(_runs_in(group, entry) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _runs_in(group: int, process: Path) -> bool:
    """Whether `process` (/proc/PID) is in `group` and is no zombie."""
    state, _, its_group = _stat(process) or ("X", "", "0")
    return int(its_group) == group and state not in "ZX"


def _stat(process: Path) -> list[str]:
    """State, parent and group of `process` (/proc/PID), empty if it has ended.

    In its `stat` (proc(5)) they follow the name in parentheses.
    """
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return []


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
