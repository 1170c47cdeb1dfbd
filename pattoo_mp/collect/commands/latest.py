"""The newest answer of each command, for polls: a thread of the collector receives them.

A poll only looks; it never waits. The thread also starts the process that runs the commands, and starts
another one if that ends.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

import pattoo_mp
from pattoo_mp.collect.commands.answer import ANSWER, FAILED, Answer
from pattoo_mp.ipc.link import Link, LinkClosedError
from pattoo_mp.program import this_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.config.values import Command

_LOG = logging.getLogger(__name__)

#: What the process runs: a fresh interpreter with our path, and neither variables nor site packages of its own.
_PROGRAM: Final = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from pattoo_mp.collect.commands.runner import main; main(int(sys.argv[1]))"
)
#: The wait before it is started again, from the first to the longest (s).
_FIRST_DELAY_S: Final = 1.0
_LONGEST_DELAY_S: Final = 60.0
#: A process that has lived for so long is started again without much delay (s).
_LONG_LIFE_S: Final = 300.0
#: How long it may take to end, with all that it runs (s).
_END_S: Final = 12.0


class Latest:
    """Has `commands` run, and keeps the newest answer of each in `answers`.

    They run as this process's user, or as `user` (its number and its groups) if that is given, which takes
    root. `trouble` says why nothing runs, empty if all is well. Nothing runs before all has ended that
    `former` ran, which is closed: no command runs twice at a time.
    """

    def __init__(
        self,
        commands: tuple[Command, ...],
        user: tuple[int, tuple[int, ...]] | None = None,
        former: Latest | None = None,
    ) -> None:
        self.commands = commands
        self.answers: Mapping[str, Answer] = {}
        self.trouble = ""
        self._user = user
        self._former = former
        self._changed = Condition()
        self._is_closed = False
        self._socket: socket.socket | None = None
        self._thread = Thread(target=self._work, name="commands", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # the host has no thread to spare; polls need none of this
            self.trouble = f"commands cannot be run: {error}"

    def close(self) -> None:
        """End all commands, without waiting for it."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def wait(self, within_s: float) -> None:
        """Wait until each command has answered, or there is a trouble, but no longer than this."""

        def is_over() -> bool:
            return len(self.answers) == len(self.commands) or bool(self.trouble)

        with self._changed:
            self._changed.wait_for(is_over, within_s)

    def _work(self) -> None:
        if self._former:
            with suppress(RuntimeError):  # it had no thread
                self._former._thread.join()  # noqa: SLF001 - one of ours
            self._former = None
        delay_s = _FIRST_DELAY_S
        while not self._is_closed:
            begun = time.monotonic()
            try:
                self._run()
            except Exception as error:  # noqa: BLE001 - the outermost handler of this thread
                self.trouble = f"commands cannot be run: {error}"
                is_ours = not isinstance(error, OSError)
                _LOG.error("Commands cannot be run: %s", error, exc_info=is_ours)
            if time.monotonic() - begun > _LONG_LIFE_S:
                delay_s = _FIRST_DELAY_S
            with self._changed:
                self._changed.notify_all()  # of a trouble
                self._changed.wait_for(lambda: self._is_closed, delay_s)
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    def _run(self) -> None:
        """Start the process, and take its answers until it ends. Raises `OSError`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            with theirs:
                process = _started(theirs)
            with self._changed:
                self._socket = ours
                if self._is_closed:
                    ours.shutdown(socket.SHUT_RDWR)
            try:
                self._receive(Link(ours))
            except LinkClosedError:
                pass
            finally:
                with self._changed:
                    self._socket = None
        how = _ended(process)
        if not self._is_closed:
            self.trouble = f"the process that runs commands has ended ({how})"
            _LOG.error("The process that runs commands has ended (%s); it is started again.", how)

    def _receive(self, link: Link) -> None:
        """Say what is to be run, and take the answers. Raises `LinkClosedError` at the end."""
        commands = [astuple(command) for command in self.commands]
        link.send(this_program().name, self._user, commands)
        while True:
            select.select([link], [link] if link.unsent_bytes else [], [])
            link.flush()
            for kind, *content in link.receive():
                if kind == ANSWER:
                    name, packed = content
                    self._take(name, Answer.unpacked(packed))
                elif kind == FAILED:
                    _LOG.error("What runs commands has failed: %s", content[0])

    def _take(self, name: str, answer: Answer) -> None:
        with self._changed:
            self.trouble = ""
            self.answers = {**self.answers, name: answer}
            self._changed.notify_all()


def _started(theirs: socket.socket) -> subprocess.Popen[bytes]:
    """Start the process, in a session of its own: no signal to our group reaches it."""
    own = str(Path(pattoo_mp.__file__).parents[1])
    options = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    number = theirs.fileno()
    return subprocess.Popen(  # noqa: S603 - this very interpreter
        [
            sys.executable,
            *options,
            "-c",
            _PROGRAM,
            str(number),
            own,
            *map(os.path.abspath, filter(None, sys.path)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[number],
        start_new_session=True,
        cwd="/",
    )


def _ended(process: subprocess.Popen[bytes]) -> str:
    """Wait for the end of the process, whose link is closed, and return how it has ended."""
    try:
        with suppress(
            OSError
        ):  # somebody may have stopped it, or those of its group that watch runs
            os.killpg(process.pid, signal.SIGCONT)
        status = process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return "it hangs"
    return f"by signal {-status}" if status < 0 else f"with exit status {status}"
