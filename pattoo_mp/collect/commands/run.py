"""One run of a command, in a process that does nothing else: started, watched, and ended with all below it.

This process adopts what the command orphans (PR_SET_CHILD_SUBREAPER). So all that a run has started is
below it, whatever sessions and groups it makes, and is ended when the command ends.
"""

from __future__ import annotations

import errno
import os
import pwd
import select
import signal
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.collect.commands.answer import (
    NOT_FOUND,
    NOT_RUN,
    SIGNALLED,
    TIMED_OUT,
    Answer,
    printed_figures,
)
from pattoo_mp.util import trust
from pattoo_mp.util.held_process import all_processes
from pattoo_mp.util.process import adopt_orphans, clock
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pattoo_mp.collect.families._prometheus import Figure
    from pattoo_mp.config.values import Command
    from pattoo_mp.util.signals import Wakeup

#: The most that is read of each of the outputs.
OUTPUT_BYTES: Final = 256 << 10
#: How long a command may take to end after SIGTERM (s).
GRACE_S: Final = 2.0
#: How long processes may take to disappear after SIGKILL before a run is reported without that (s).
_KILLED_S: Final = 2.0
#: How often it is tried within that time, and how often later to end what cannot be ended (s).
_KILL_AGAIN_S: Final = 0.05
_AGAIN_S: Final = 5.0
_READ_BYTES: Final = 1 << 16
#: How much of what it wrote to standard error is told.
_TOLD: Final = 200

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(command: Command) -> dict[str, str]:
    """Return the variables of a command: few, in English and UTF-8, and its own."""
    try:
        user = pwd.getpwuid(os.geteuid())
        own = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    except KeyError:
        own = {"HOME": "/"}
    return {"PATH": _PATH, "LANG": "C.UTF-8", **own, **dict(command.environment)}


def refusal(command: Command) -> tuple[int, str] | None:
    """Return the exit status and the reason if a command must not, or cannot, be run; else None."""
    for path in trust.program_files(command.words):
        if wrong := trust.examine(path, os.geteuid()).problem:
            return NOT_RUN, f"not run: {path} {wrong}; expected {trust.EXPECTED}"
    path = Path(command.words[0])
    try:
        mode = path.stat().st_mode
    except OSError as error:
        is_missing = error.errno in {errno.ENOENT, errno.ENOTDIR}
        return NOT_FOUND if is_missing else NOT_RUN, f"not run: {path}: {error.strerror}"
    if not stat.S_ISREG(mode):
        what = "is a directory" if stat.S_ISDIR(mode) else "is not a regular file"
        return NOT_RUN, f"not run: {path} {what}; expected a program"
    if not os.access(path, os.X_OK):
        return NOT_RUN, f"not run: {path} is not executable by the agent's user"
    return None


def run(command: Command, wakeup: Wakeup, send: Callable[[Answer], object]) -> None:
    """Run a command and send its answer, then wait until all that it has started has ended.

    `wakeup` reports SIGCHLD, and SIGTERM, which ends the run: then nothing is sent.
    """
    adopt_orphans()
    started_s = clock()
    refused = refusal(command)
    if refused:
        send(Answer(started_s, 0.0, refused[0], (), refused[1]))
        return
    try:
        process = subprocess.Popen(  # noqa: S603 - to run it is what the operator asks for
            command.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment(command),
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        what = error.strerror or str(error)
        if error.errno == errno.ENOEXEC:
            what += ", expected a binary, or a script that begins with #!"
        send(Answer(started_s, 0.0, NOT_RUN, (), f"not run: {command.words[0]}: {what}"))
        return
    watched = _Watched(process, started_s + command.timeout_s, command.timeout_s, wakeup)
    watched.wait()
    took_s = clock() - started_s
    is_gone = watched.end_all(_KILLED_S)
    if not watched.is_stopping:
        send(_answer(command, watched, started_s, took_s))
    while not (is_gone or watched.is_stopping):
        select.select([wakeup], [], [], _AGAIN_S)
        watched.take_signals()
        is_gone = watched.end_all(0.0)


def _answer(command: Command, watched: _Watched, started_s: float, took_s: float) -> Answer:
    status, why = watched.status, watched.why
    figures: tuple[Figure, ...] = ()
    if not why and status < 0:
        why = f"ended by {_signal_name(-status)}"
    if watched.is_late:
        status = TIMED_OUT
    elif status < 0:
        status = SIGNALLED - status
    if not why:
        figures, why = _figures(command, watched)
    notes = [why] if why else []
    if watched.left and not watched.why:
        notes.append(f"processes that it left behind, and that were ended: {watched.left}")
    if watched.unending:
        which = f"process {watched.unending}" if watched.unending > 0 else "a process"
        notes.append(f"{which} cannot be ended; the next run waits until it has ended")
    return Answer(started_s, took_s, status, figures, "; ".join(notes))


def _figures(command: Command, watched: _Watched) -> tuple[tuple[Figure, ...], str]:
    """Return the figures of a run that has ended by itself, and what is left out and why."""
    if watched.is_cut:
        cut = "its output ends within a line, and what it left behind was to print the rest"
        return (), cut
    found, why = printed_figures(command.name, command.form, watched.output, watched.status)
    if why and watched.errors.strip():
        why = f"{why}; standard error: {_told(watched.errors)}"
    return found, why


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _told(errors: bytes) -> str:
    """Return the first line that is not empty, printable and short."""
    lines = errors.decode(errors="backslashreplace").strip().split("\n")
    line = printable(lines[0].strip())
    return line if len(line) <= _TOLD else f"{line[:_TOLD]}…"


@dataclass
class _Watched:
    """A running command: what it has printed, and how it ends.

    `status` is as `Popen.returncode`. `left` is how many processes it has left behind, and `unending` one
    of those that cannot be ended: 0 if there is none, and less if /proc does not show it.
    """

    process: subprocess.Popen[bytes]
    due_s: float
    timeout_s: float
    wakeup: Wakeup
    is_late: bool = False
    is_stopping: bool = False
    status: int = 0
    why: str = ""
    left: int = 0
    unending: int = 0
    _ended: bool = False
    _printed: dict[Any, bytearray] = field(default_factory=dict)
    _open: dict[Any, bytearray] = field(default_factory=dict)
    _terms: int = 0
    _is_held: bool = False

    def __post_init__(self) -> None:
        """Begin to read without waiting."""
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None  # noqa: S101 - both are pipes
            os.set_blocking(pipe.fileno(), False)
            self._printed[pipe] = self._open[pipe] = bytearray()

    @property
    def output(self) -> bytes:
        """What it has printed."""
        return bytes(self._printed[self.process.stdout])

    @property
    def is_cut(self) -> bool:
        """Whether a process that the command left behind may have printed half of a line: 12 of 1234."""
        return self._is_held and not self.output.endswith(b"\n")

    @property
    def errors(self) -> bytes:
        """What it has written to standard error."""
        return bytes(self._printed[self.process.stderr])

    def wait(self) -> None:
        """Wait until the command ends, or must be ended and does not."""
        while not self._ended:
            now_s = clock()
            if now_s >= self.due_s and not self._end_late(now_s):
                break
            select.select([self.wakeup, *self._open], [], [], max(0.0, self.due_s - now_s))
            self.take_signals()
            self._reap()
            self._read()
        self._is_held = self.process.stdout in self._open
        for pipe in self._printed:
            pipe.close()

    def take_signals(self) -> None:
        """Note a SIGTERM, which leaves the command a moment to end."""
        if signal.SIGTERM in self.wakeup.take() and not self.is_stopping:
            self.is_stopping = True
            self.due_s = min(self.due_s, clock())

    def end_all(self, within_s: float) -> bool:
        """End what is left of the run. Return whether all has ended within this time."""
        until_s = clock() + within_s
        while True:
            self._reap()
            if not has_children():
                self.unending = 0
                return True
            running = end_all_below()
            self.left = self.left or len(running.keys() - {self.process.pid})
            self.unending = next(iter(running), -1)
            if clock() >= until_s:
                return False
            select.select([self.wakeup], [], [], _KILL_AGAIN_S)
            self.take_signals()

    def _end_late(self, now_s: float) -> bool:
        """Send SIGTERM to a command that is too late, then SIGKILL to all. False if nothing helps."""
        self._terms += 1
        if self._terms == 1:
            if not self.is_stopping:
                self.is_late = True
                self.why = f"ended by the time limit of {self.timeout_s:g} s"
            self._signal_group(signal.SIGTERM)
            self.due_s = now_s + GRACE_S
            return True
        if self._terms == 2:
            if self.why:
                self.why += ", by SIGKILL"
            self._signal_group(signal.SIGKILL)
            self.due_s = now_s + _KILLED_S
            return True
        return False

    def _signal_group(self, number: signal.Signals) -> None:
        # It leads its session, and is our unreaped child: its number is nobody else's.
        if not self._ended:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def _reap(self) -> None:
        """Take the status of the command, and those of orphans."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.process.pid:
                    self.status = os.waitstatus_to_exitcode(ended[1])
                    self.process.returncode = self.status
                    self._ended = True

    def _read(self) -> None:
        """Read what there is. A command that prints too much is ended."""
        for pipe, printed in list(self._open.items()):
            while True:
                try:
                    content = os.read(pipe.fileno(), _READ_BYTES)
                except BlockingIOError:
                    break
                if not content:
                    del self._open[pipe]
                    break
                printed.extend(content)
                if len(printed) > OUTPUT_BYTES:
                    where = "output" if pipe is self.process.stdout else "standard error"
                    self.why = self.why or f"more than {OUTPUT_BYTES} bytes of {where}"
                    del self._open[pipe]
                    self._signal_group(signal.SIGKILL)
                    break


# --- all processes of a run


def has_children() -> bool:
    """Whether this process has any child, ended or not."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def below(keep: Collection[int] = ()) -> dict[int, int]:
    """Return the running processes below this one, with their groups; not `keep` and what is below them."""
    found = dict(all_processes())
    children: dict[int, list[int]] = {}
    for pid, process in found.items():
        children.setdefault(process.parent, []).append(pid)
    running: dict[int, int] = {}
    waiting = [os.getpid()]
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in keep:
                waiting.append(pid)
                if found[pid].runs:
                    running[pid] = found[pid].group
    return running


def end_all_below(keep: Collection[int] = ()) -> Mapping[int, int]:
    """Send SIGKILL to all that runs below this process, but for `keep`. Return what still runs.

    It goes to whole groups: no process of a group can fork while the kernel does that. All members of
    such a group are below us, for its session began there.
    """
    running = below(keep)
    for pid, group in running.items():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        if group not in {0, os.getpgrp()}:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
    return running
