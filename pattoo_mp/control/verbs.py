"""What a person asks of the agent: start, stop, restart. Each is bounded in time."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import paths
from pattoo_mp.control.arbiter import STOP_S
from pattoo_mp.control.door import ask
from pattoo_mp.control.endings import cut_short, forgive
from pattoo_mp.control.notify import without_systemd
from pattoo_mp.control.pidlock import holder
from pattoo_mp.control.ready import READY
from pattoo_mp.control.supervisor import Supervisor, without_supervisor
from pattoo_mp.errors import AlreadyRunningError, PattooError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: From the start to the first poll in the spool: ten seconds to a tick, and a slow name server.
_START_S: Final = 30.0
_STOP_GRACE_S: Final = 5.0
_KILL_S: Final = 5.0
_LOOK_S: Final = 0.05


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

    def start(self, command: list[str], environment: Mapping[str, str]) -> None:
        """Start `command` as the control process and wait until polls flow.

        `environment` is added to our own.
        Raises `AlreadyRunningError`, or `StartError` with the reason.
        """
        pid = self.pid
        if pid is not None:
            raise AlreadyRunningError(f"the agent runs already, as process {pid}")
        supervisor = self._supervisor(None)
        if supervisor is not None:
            if supervisor.may_run:
                supervisor.stop()  # it waits before its next try; ours is now
            supervisor.start()
            self._wait_until_polls_flow()
        else:
            _detach(command, environment, self._why_not)

    def stop(self, *, force: bool) -> bool:
        """Stop the agent, if it runs: in order, or by SIGKILL of its process group.

        Returns whether it ran. Raises `PattooError` if it does not end in time.
        """
        pid = self.pid
        supervisor = self._supervisor(pid)
        if supervisor is not None and supervisor.may_run:
            if not force:
                supervisor.stop()
                return pid is not None
            supervisor.begin_stop()
        if pid is None:
            return False
        _signal_group(pid, signal.SIGKILL if force else signal.SIGTERM)
        limit_s = _KILL_S if force else STOP_S + _STOP_GRACE_S
        if not _wait_for(lambda: self.pid != pid and not _group_lives(pid), limit_s):
            raise PattooError(
                f"the agent (process {pid}) did not end within {limit_s:g} s"
                + ("" if force else "; --force kills it")
            )
        if force:
            forgive(self.directory)
        return True

    def _supervisor(self, pid: int | None) -> Supervisor | None:
        return Supervisor.of(paths.supervisor_file(self.directory), pid)

    def _wait_until_polls_flow(self) -> None:
        if not _wait_for(self._polls_flow, _START_S):
            raise StartError(f"no poll within {_START_S:g} s{self._why_not()}")

    def _polls_flow(self) -> bool:
        try:
            polls = self.status()["polls"]
        except OSError:
            return False
        return bool(polls["since_start"] > polls["in_channel"])

    def _why_not(self) -> str:
        """What the workers complain of, to end a sentence with."""
        try:
            workers = self.status()["workers"]
        except OSError:
            return ""
        reasons = [
            f"{name}: {reason}"
            for name, worker in workers.items()
            for reason in (worker["last_death"], *worker["troubles"].values())
            if reason
        ]
        return f" ({'; '.join(reasons)})" if reasons else ""


def _detach(command: list[str], environment: Mapping[str, str], why_not: Callable[[], str]) -> None:
    """Run `command` in a session of its own; return once it writes READY to its descriptor."""
    told, tell = os.pipe()
    with subprocess.Popen(  # noqa: S603 - our own command line
        [*command, "--ready-fd", str(tell)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**without_systemd(without_supervisor(os.environ)), **environment},
        pass_fds=[tell],
        start_new_session=True,
    ) as process:
        os.close(tell)
        answer = _read(told, _START_S)
        os.close(told)
        if answer == READY:
            process.returncode = 0  # it goes on without us; do not wait for it
            return
        reason = f"no poll within {_START_S:g} s{why_not()}" if answer is None else ""
        process.terminate()
        try:
            _, complaint = process.communicate(timeout=STOP_S + _STOP_GRACE_S)
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


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signal the group that control leads; control alone if it leads none."""
    try:
        target = -pid if os.getpgid(pid) == pid else pid
        os.kill(target, number)
        os.kill(target, signal.SIGCONT)  # what is stopped would not hear
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise PattooError(
            f"process {pid}: we may not signal it; expected its user or root"
        ) from error


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


def _wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_S)
    return True


def own_command() -> list[str]:
    """The command line that runs this same program again."""
    return [sys.executable, os.path.abspath(sys.argv[0])]  # noqa: PTH100 - keeps a symlink's name
