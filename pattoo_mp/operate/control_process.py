"""The control process of an agent, and its team: held and checked before they are signalled.

The kernel names the holder of the PID file's lock by a number. That number may be 0 or negative
(fcntl(2): a process of another PID namespace, of another host, or a lock without an owner), which for
kill(2) is a group, or every process. It may also belong to a process that only inherited the file.
So nothing is signalled by that number. The process is held, and has to be shown to be the control
process: by its command, by its user, and by the lock, which it has to hold while we hold it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.control.run_directory import UNNAMED, holder
from pattoo_mp.errors import PattooError
from pattoo_mp.program import this_program
from pattoo_mp.util.files import process_owner
from pattoo_mp.util.held_process import HeldProcess, all_processes, stat_of
from pattoo_mp.util.text import printable
from pattoo_mp.util.users import user_name

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

    from pattoo_mp.operate.agent import Agent

_COMMAND_BYTES: Final = 4096
_SHOWN_CHARACTERS: Final = 60


@contextmanager
def held_control(agent: Agent) -> Iterator[HeldProcess | None]:
    """Hold the control process of `agent` during the block; None if no agent runs.

    Raises `PattooError` if the holder of the lock is not shown to be that process; it is not
    signalled then.
    """
    pid = agent.pid
    if pid is None:
        yield None
        return
    if pid == UNNAMED:
        raise _not_signalled(
            f"{agent.pid_file}: {holder(pid)} has locked it",
            "this command where the agent runs (in its container, on its host)",
        )
    try:
        process = HeldProcess(pid)
    except OSError as error:
        raise _not_signalled(f"{holder(pid)}: {error.strerror}", "a running agent") from error
    with process:
        doubt = _doubt(process, agent)
        if doubt:
            raise _not_signalled(
                f"{holder(pid)} has locked {agent.pid_file}, but {doubt}",
                "the agent's control process",
            )
        yield process


def _not_signalled(why: str, expected: str) -> PattooError:
    return PattooError(f"{why}; nothing was signalled; expected {expected}")


def is_control(pid: int) -> bool:
    """Whether the process has the title of a control process."""
    return _command(pid).startswith(f"{this_program().name}: control".encode())


def running_controls() -> list[tuple[int, str, str]]:
    """All control processes that this user may signal: number, user, and PID file.

    By the PID file a person tells the agents of a host apart.
    """
    ours = os.geteuid()
    found = []
    for pid in sorted(pid for pid, _ in all_processes() if is_control(pid)):
        user, file = _user(pid), _open_pid_file(pid)
        if user is not None and ours in {0, user} and file:
            found.append((pid, user_name(user), file))
    return found


def _open_pid_file(pid: int) -> str:
    """The path of the PID file that a process has open; empty if there is none, or no permission."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = str(link.readlink()).removesuffix(" (deleted)")
                if target.endswith(f"/pid/{this_program().name}.pid"):
                    return target
    return ""


def _command(pid: int) -> bytes:
    with suppress(OSError), Path(f"/proc/{pid}/cmdline").open("rb") as file:
        return file.read(_COMMAND_BYTES)
    return b""


def _doubt(process: HeldProcess, agent: Agent) -> str:
    """Why `process` may not be the control process of `agent`; empty if it is."""
    pid = process.pid
    if not is_control(pid):
        shown = printable(_command(pid).replace(b"\0", b" ").decode("utf-8", "replace").strip())
        return f"its command is {shown[:_SHOWN_CHARACTERS]!r}"
    user, owners = _user(pid), _owners(agent)
    if user not in owners:
        return (
            f"it runs as {_name(user)}, and the file belongs to {' and '.join(map(_name, owners))}"
        )
    # Last: a process that has not ended yet is the one whose number we have read all the time.
    if agent.pid != pid or process.has_ended:
        return "it ended meanwhile"
    return ""


def _user(pid: int) -> int | None:
    """The effective user of a process. The owner of /proc/PID may be root instead (proc(5))."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[2])
    return None


def _owners(agent: Agent) -> list[int]:
    """The users whose process may hold the lock: the owners of the PID file and of its directory."""
    found = []
    for path in (agent.pid_file, agent.directory):
        with suppress(OSError):
            found.append(path.lstat().st_uid)
    return list(dict.fromkeys(found))


def _name(user: int | None) -> str:
    return "an unknown user" if user is None else user_name(user)


@contextmanager
def held_team(control: HeldProcess) -> Iterator[list[HeldProcess]]:
    """Hold the children of `control`, and all processes of the group that it leads, during the block.

    Without `control` itself and without zombies. Empty if control has ended: then the numbers may be
    those of other processes.
    """
    with ExitStack() as held:
        found = [
            held.enter_context(process)
            for process in map(_try_to_hold, _team_pids(control.pid))
            if process is not None
        ]
        team = [process for process in found if _is_in_team(process.pid, control.pid)]
        yield [] if control.has_ended else team


@contextmanager
def held_processes(control: int | None) -> Iterator[list[HeldProcess]]:
    """Hold the process of this number with its team, to see whether they end; not to signal them.

    Empty if it is none.
    """
    with ExitStack() as held:
        process = None if control is None else _try_to_hold(control)
        if process is None:
            yield []
            return
        held.enter_context(process)
        yield [process, *held.enter_context(held_team(process))]


def _try_to_hold(pid: int) -> HeldProcess | None:
    with suppress(OSError):
        return HeldProcess(pid)
    return None


def _team_pids(control: int) -> list[int]:
    return [pid for pid, _ in all_processes() if _is_in_team(pid, control)]


def _is_in_team(pid: int, control: int) -> bool:
    found = stat_of(pid)
    if found is None or not found.runs or pid == control:
        return False
    return control in {found.parent, found.group}


def signal_control(control: HeldProcess, *numbers: signal.Signals) -> None:
    """Send `numbers` to the control process. Raises `PattooError` without permission."""
    try:
        for number in numbers:
            control.signal(number)
    except PermissionError as error:
        raise PattooError(
            f"process {control.pid}: no permission to signal it{process_owner(control.pid)}; "
            "expected its user or root"
        ) from error


def signal_team(team: list[HeldProcess], *numbers: signal.Signals) -> None:
    """Send `numbers` to the processes of a team, but not to those of other users."""
    for process in team:
        with suppress(PermissionError):
            for number in numbers:
                process.signal(number)
