"""A pseudo-terminal, and a program that runs on it."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
from typing import TYPE_CHECKING, Self

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ESCAPE = "\x1b"
CTRL_C = "\x03"
ROWS, COLUMNS = 40, 120
_TASTES = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "COLORTERM"}


class Terminal:
    """Runs a command on a pseudo-terminal, and ends it with the `with` block.

    `tastes` sets variables such as NO_COLOR. Those of the tests' own environment are removed.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], **tastes: str
    ) -> None:
        bland = {name: value for name, value in environment.items() if name not in _TASTES}
        self.output = ""
        # A read may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._status: int | None = None
        self._pid, self._ours = pty.fork()
        if self._pid == 0:
            try:
                size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
                fcntl.ioctl(0, termios.TIOCSWINSZ, size)
                os.execvpe(  # noqa: S606 - a command of the tests
                    command[0], list(command), {**bland, "TERM": "xterm-256color", **tastes}
                )
            finally:
                os._exit(127)

    @property
    def text(self) -> str:
        """The output so far, without escape codes."""
        self._read()
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.output)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until `text` was printed so many times."""
        wait_for(lambda: self.text.count(text) >= times, what=f"{text!r} on the terminal")

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        """Wait until the program ends. Return its exit status."""
        wait_for(self._ended, what="the end of the program")
        self._read()
        assert self._status is not None
        return self._status

    def _read(self) -> None:
        # A terminal reports the end of the program as EIO.
        with contextlib.suppress(OSError):
            while select.select([self._ours], [], [], 0)[0]:
                self.output += self._decoder.decode(os.read(self._ours, 1 << 16))

    def _ended(self) -> bool:
        self._read()
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended():
            os.kill(self._pid, signal.SIGKILL)
            wait_for(self._ended, what="the end of the program")
        os.close(self._ours)
