"""The environment of a process that we start."""

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

from pattoo_mp.control.run_directory import forgive
from pattoo_mp.errors import AlreadyRunningError, ConfigError, PattooError, StartError
from pattoo_mp.ipc.messages import READY
from pattoo_mp.operate.agent import STOPPED_S, send_signal, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.operate.agent import Agent

    Answer = dict[str, Any]


_SYSTEMDS: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


def without_managers(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that is neither supervisord's nor systemd's, whoever started us."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _SYSTEMDS and not name.startswith("SUPERVISOR_")
    }


# Starts the agent in the background, and waits until polls flow.

#: From the start to the first poll in the spool: ten seconds to a tick, and a slow name server.
_START_S: Final = 30.0


def own_command() -> list[str]:
    """The command line that runs this same program again."""
    return [sys.executable, os.path.abspath(sys.argv[0])]  # noqa: PTH100 - keeps a symlink's name


def start(agent: Agent, command: list[str], environment: Mapping[str, str]) -> None:
    """Start `command` as the control process of `agent`, and wait until polls flow.

    `environment` is added to our own. Where a supervisord runs the agent, that is asked to.
    Raises `AlreadyRunningError`, or `StartError` with the reason.
    """
    pid = agent.pid
    if pid is not None:
        raise AlreadyRunningError(f"the agent runs already, as process {pid}")
    supervisor = agent.supervisor(None)
    if supervisor is None:
        _detach(agent, command, environment)
        return
    if supervisor.may_run:
        supervisor.stop()  # it waits before its next try; ours is now
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
    """That none was kept in time, and what the workers complain of."""
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
    return f"no poll was kept within {_START_S:g} s{why}"


def _detach(agent: Agent, command: list[str], environment: Mapping[str, str]) -> None:
    """Run `command` in a session of its own; return once it writes READY to its descriptor."""
    told, tell = os.pipe()
    with subprocess.Popen(  # noqa: S603 - our own command line
        [*command, "--ready-fd", str(tell)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**without_managers(os.environ), **environment},
        pass_fds=[tell],
        start_new_session=True,
    ) as process:
        os.close(tell)
        answer = _read(told, _START_S)
        os.close(told)
        if answer == READY:
            process.returncode = 0  # it goes on without us; do not wait for it
            return
        reason = _no_poll(agent) if answer is None else ""
        process.terminate()
        try:
            _, complaint = process.communicate(timeout=STOPPED_S)
        except subprocess.TimeoutExpired:
            process.kill()
            complaint = b""
    raise StartError(reason or _last_words(complaint))


def _read(descriptor: int, seconds: float) -> bytes | None:
    """What comes on a pipe until its end; None if nothing has come in time."""
    readable, _, _ = select.select([descriptor], [], [], seconds)
    return os.read(descriptor, len(READY)) if readable else None


def _last_words(complaint: bytes) -> str:
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rpartition(": error: ")[2] if lines else "it ended without a word"


# Stops the agent: in order, or by force.

_KILL_S: Final = 5.0


def stop(agent: Agent, *, force: bool) -> bool:
    """Stop `agent`, if it runs: in order, or by SIGKILL of its process group.

    Where a supervisord runs it, or tries to beside one that was started by hand, that is asked to. Returns whether it ran. Raises `PattooError` if it
    does not end in time.
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
        _end_tries(agent)
    # What is stopped would not hear.
    asked = signal.SIGKILL if force else signal.SIGTERM
    send_signal(pid, asked, signal.SIGCONT, to_group=True)
    limit_s = _KILL_S if force else STOPPED_S
    if not wait_for(lambda: agent.pid != pid and not _group_lives(pid), limit_s):
        raise PattooError(
            f"the agent (process {pid}) did not end within {limit_s:g} s"
            + ("" if force else "; --force kills it")
        )
    if force:
        forgive(agent.directory)
    return True


def _end_tries(agent: Agent) -> None:
    """A supervisord that tries in vain to start an agent that was started by hand could, after this."""
    beside = agent.supervisor(None)
    if beside is not None and beside.may_run:
        beside.stop()


def _group_lives(group: int) -> bool:
    """Whether a process of the group runs; one that only waits to be reaped does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return any(_runs_in(group, entry) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _runs_in(group: int, process: Path) -> bool:
    """Read /proc/PID/stat (proc(5)): after the name in parentheses state, parent, group."""
    try:
        state, _, its_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in "ZX"


# Asks a running agent to reload, and waits for its answer.

#: Until both workers go by the new settings: one may be in the middle of a slow sync.
RELOAD_S: Final = 15.0
_LOOK_S: Final = 0.05


def reload(agent: Agent, pid: int, within_s: float = RELOAD_S) -> list[str]:
    """Have `agent`, whose control process is `pid`, read its configuration anew and go by it.

    What counts is what the agent itself finds in its files, which may be others than ours.
    Returns the names of the settings that have changed. Raises `ConfigError` with the lines of a
    configuration that it refuses, and `PattooError` if it does not go by it in time.
    """
    until = time.monotonic() + within_s
    now = _answer(agent, pid, until, lambda _: True)
    # One that is under way has a number to come, and may not see our files.
    before = now["number"] + (1 if now.get("reading") else 0)
    send_signal(pid, signal.SIGHUP)
    # Any reading that began after that answer has seen our files, whoever else asked for it.
    found = _answer(agent, pid, until, lambda answer: answer["number"] > before)
    if found["problems"]:
        raise ConfigError(found["problems"])
    _answer(agent, pid, until, lambda answer: not answer["waiting_for"])
    return list(found["changed"])


def _answer(agent: Agent, pid: int, until: float, enough: Callable[[Answer], bool]) -> Answer:
    """What control says of its last reading, as soon as it is `enough`."""
    answer: Answer = {}
    while True:
        if agent.pid != pid:
            raise PattooError(f"the agent (process {pid}) ended before it had reloaded")
        with contextlib.suppress(OSError):
            answer = _ask(agent, pid)
            if enough(answer):
                return answer
        if time.monotonic() >= until:
            raise PattooError(_not_in_time(pid, answer))
        time.sleep(_LOOK_S)


def _ask(agent: Agent, pid: int) -> Answer:
    answer: Answer | None = agent.status().get("reload")
    if answer is None:
        raise PattooError(f"process {pid} is of a release that cannot reload; restart it")
    return answer


def _not_in_time(pid: int, answer: Answer) -> str:
    late = answer.get("waiting_for")
    if late:
        return (
            f"the new settings are read, but the {' and the '.join(late)} does not go by them yet; "
            f"it will as soon as it can"
        )
    return f"the agent (process {pid}) does not answer; --status tells more"
