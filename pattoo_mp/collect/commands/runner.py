"""The process that runs all commands: it starts a process for each run, and hands the answers on.

It is started by the collector as a program of its own, so it has none of the collector's memory, threads
and descriptors. It ends with the collector, whose end closes the link, and so do the runs, which end with it.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import struct
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from setproctitle import setproctitle

from pattoo_mp.collect.commands.answer import ANSWER, FAILED, NOT_RUN, SIGNALLED, Answer
from pattoo_mp.collect.commands.run import end_all_below, has_children, run
from pattoo_mp.collect.families import _prometheus
from pattoo_mp.config.values import PROMETHEUS, Command
from pattoo_mp.ipc.link import Link, LinkClosedError
from pattoo_mp.util import users
from pattoo_mp.util.process import adopt_orphans, clock, die_with
from pattoo_mp.util.signals import Wakeup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import FileDescriptorLike

#: Added to the nice value, so that a busy host runs what it is there for first.
_NICE: Final = 5
#: A command that leaks memory is to be killed before a database (proc(5), oom_score_adj).
_OOM_SCORE: Final = "500"
#: The first runs begin one after the other, this far apart (s).
_APART_S: Final = 0.1
#: What a run sends first: the length of its answer. One that is killed may have sent half of it.
_LENGTH: Final = struct.Struct("=I")
#: How much of an error of our own is told.
_TRACEBACK: Final = 400
_READ_BYTES: Final = 1 << 16
#: The most that waits for a collector that does not read.
_UNSENT_BYTES: Final = 4 << 20
#: How long the collector may take to say what is to be run (s).
_FIRST_S: Final = 10.0
#: How long runs may take to end what they run, before they are killed with it (s).
_ALL_END_S: Final = 7.0
_KILLED_S: Final = 2.0
#: How often it is looked whether they have (s).
_LOOK_S: Final = 0.1


def main(descriptor: int) -> NoReturn:
    """Run the commands that the first message on the socket names, until it is closed."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    link = Link(socket.socket(fileno=descriptor))
    try:
        _serve(link)
    except LinkClosedError:
        pass
    except BaseException:  # noqa: BLE001 - the outermost handler
        with suppress(LinkClosedError):
            link.send(FAILED, traceback.format_exc())
            select.select([], [link], [], 1.0)
            link.flush()
        os._exit(1)
    os._exit(0)


def _serve(link: Link) -> None:
    collector = os.getppid()
    messages: list[list[Any]] = []
    while not messages:
        if not select.select([link], [], [], _FIRST_S)[0]:
            return
        messages = link.receive()
    ((title, user, sent),) = messages
    commands = [Command.of(one) for one in sent]
    setproctitle(f"{title}: commands")
    os.chdir("/")
    os.umask(0o077)
    _be_modest()
    if any(command.form == PROMETHEUS for command in commands):
        with suppress(ImportError):  # while we can surely read it; each run tells
            _prometheus.parser()
    if user is not None:
        users.become(user[0], tuple(user[1]))
    # If we are stopped, the end of the collector lets us go on, to end all runs.
    die_with(collector, signal.SIGCONT)
    Runner(link, title, commands).serve()


def _be_modest() -> None:
    """Take less of a busy host than others: all commands inherit it."""
    with suppress(OSError):
        os.nice(_NICE)
    with suppress(OSError):  # it also ends the short time slices of the collector
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Run:
    """A process that runs a command: what it has sent so far, and its pipe until that is closed."""

    def __init__(self, pid: int, pipe: int, started_s: float) -> None:
        self.pid = pid
        self.pipe: int | None = pipe
        self.started_s = started_s
        self.content = bytearray()


class Runner:
    """Starts each command at its interval. One that still runs is started when that has ended."""

    def __init__(self, link: Link, title: str, commands: Sequence[Command]) -> None:
        self._link = link
        self._title = title
        self._commands = {command.name: command for command in commands}
        now_s = clock()
        self._due_s = {name: now_s + n * _APART_S for n, name in enumerate(self._commands)}
        self._runs: dict[str, _Run] = {}
        self._has_orphans = False
        self._wakeup = Wakeup((signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        adopt_orphans()

    def serve(self) -> None:
        """Serve until the collector closes the link, then end all runs."""
        with suppress(LinkClosedError):
            self._serve()
        self._end_all()

    def _serve(self) -> None:
        while True:
            self._start_due()
            pipes = {run.pipe: name for name, run in self._runs.items() if run.pipe is not None}
            writing = [self._link] if self._link.unsent_bytes else []
            reading: list[FileDescriptorLike] = [self._link, self._wakeup, *pipes]
            readable, _, _ = select.select(reading, writing, [], self._wait_s())
            self._wakeup.take()  # it ends with its collector, and not by a signal to the group
            if self._link in readable:
                self._link.receive()
            if writing:
                self._link.flush()
            for pipe in readable:
                if isinstance(pipe, int):
                    self._read(pipes[pipe])
            self._reap()

    def _end_all(self) -> None:
        """End all runs: each ends what it runs, also one that somebody has stopped. Then kill what is left."""
        for begun in self._runs.values():
            if begun.pipe is not None:  # nobody reads it any more: it must not wait for that
                os.close(begun.pipe)
                begun.pipe = None
            for number in (signal.SIGTERM, signal.SIGCONT):
                os.kill(begun.pid, number)  # an unreaped child of ours
        until_s = clock() + _ALL_END_S
        while has_children() and clock() < until_s:
            select.select([self._wakeup], [], [], _LOOK_S)
            self._wakeup.take()
            self._reap()
        # A run that hangs on a dead file server before its program has begun cannot end itself.
        while has_children() and end_all_below() and clock() < until_s + _KILLED_S:
            select.select([self._wakeup], [], [], _LOOK_S)
            self._wakeup.take()
            self._reap()

    def _wait_s(self) -> float | None:
        due = [at for name, at in self._due_s.items() if name not in self._runs]
        return max(0.0, min(due) - clock()) if due else None

    def _start_due(self) -> None:
        now_s = clock()
        for name, due_s in self._due_s.items():
            if due_s > now_s or name in self._runs:
                continue
            interval_s = self._commands[name].interval_s
            self._due_s[name] = due_s + interval_s * (1 + (now_s - due_s) // interval_s)
            try:
                self._runs[name] = self._started(self._commands[name], now_s)
            except OSError as error:  # no process or no descriptor to spare
                self._answer(name, Answer(now_s, 0.0, NOT_RUN, (), f"not run: {error.strerror}"))

    def _started(self, command: Command, now_s: float) -> _Run:
        reading, writing = os.pipe()
        parent = os.getpid()
        try:
            pid = os.fork()
            if pid == 0:
                self._run_in_child(command, parent, reading, writing)
        except OSError:
            os.close(reading)
            raise
        finally:
            if os.getpid() == parent:
                os.close(writing)
        os.set_blocking(reading, False)
        return _Run(pid, reading, now_s)

    def _run_in_child(self, command: Command, parent: int, reading: int, writing: int) -> NoReturn:
        pipe = os.fdopen(writing, "wb")

        def send(answer: Answer) -> None:
            packed = answer.packed()
            with pipe:
                pipe.write(_LENGTH.pack(len(packed)) + packed)

        try:
            self._link.close()
            self._wakeup.close()
            os.close(reading)
            for other in self._runs.values():
                if other.pipe is not None:
                    os.close(other.pipe)
            setproctitle(f"{self._title}: command {command.name}")
            wakeup = Wakeup((signal.SIGCHLD, signal.SIGTERM))
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda *_: None)
            die_with(parent, signal.SIGTERM)
            run(command, wakeup, send)
        except BaseException:  # noqa: BLE001 - the outermost handler
            if not pipe.closed:
                with suppress(OSError):
                    send(Answer(clock(), 0.0, NOT_RUN, (), traceback.format_exc()[-_TRACEBACK:]))
            os._exit(1)
        os._exit(0)

    def _read(self, name: str, *, is_last: bool = False) -> bool:
        """Read what a run has sent. Return whether there may be more. `is_last`: it has ended."""
        run = self._runs[name]
        assert run.pipe is not None  # noqa: S101 - it was readable
        try:
            content = os.read(run.pipe, _READ_BYTES)
        except BlockingIOError:
            if not is_last:
                return True
            content = b""  # it was killed, and a program that hangs in its start has the pipe
        run.content += content
        if content:
            return True
        os.close(run.pipe)
        run.pipe = None
        packed = bytes(run.content[_LENGTH.size :])
        if run.content[: _LENGTH.size] == _LENGTH.pack(len(packed)):
            self._send(name, packed)
            return False
        why = "the process that ran it was killed"
        now_s = clock()
        self._answer(
            name, Answer(run.started_s, now_s - run.started_s, SIGNALLED + signal.SIGKILL, (), why)
        )
        return False

    def _answer(self, name: str, answer: Answer) -> None:
        self._send(name, answer.packed())

    def _send(self, name: str, packed: bytes) -> None:
        # An answer that waits so long is too old anyway.
        if self._link.unsent_bytes < _UNSENT_BYTES:
            with suppress(LinkClosedError):  # the next `receive` tells
                self._link.send(ANSWER, name, packed)

    def _reap(self) -> None:
        """Forget runs that have ended. What a killed one has left behind is ours now, and is ended."""
        pids = {run.pid: name for name, run in self._runs.items()}
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                name = pids.pop(ended[0], None)
                if name is None:
                    continue
                while self._runs[name].pipe is not None and self._read(name, is_last=True):
                    pass
                del self._runs[name]
                self._has_orphans |= ended[1] != 0
        if self._has_orphans:
            kept = {run.pid for run in self._runs.values()}
            self._has_orphans = bool(end_all_below(kept))
