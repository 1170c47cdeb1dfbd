"""Where control answers for its status: a Unix socket that gives a JSON text to whoever connects.

Asked for and answered, rather than a file that is written again and again: it costs nothing while
nobody looks, it is never stale, and it answers with a full disk too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import StartError
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)

_NEVER: Final = float("inf")
#: Until the next try where nobody can be let in: who knocks goes on to, and a loop would spin.
_REST_S: Final = 1.0
_ANSWER_S: Final = 5.0
_ANSWER_BYTES: Final = 1 << 20


class StatusSocket:
    """Listens at `path`; only the user that runs the agent, and root, may knock."""

    def __init__(self, path: Path) -> None:
        """Begin to listen. Raises `StartError`."""
        self._path = path
        self._socket = _listening(path)
        self._place = path.lstat()
        self._rests_until = 0.0
        self._is_told = False

    @property
    def rests(self) -> bool:
        """Whether it is not to be waited at now."""
        return time.monotonic() < self._rests_until

    @property
    def wake_at(self) -> float:
        """When it can be waited at again, on the monotonic clock; never if it can be now."""
        return self._rests_until if self.rests else _NEVER

    def keep(self) -> None:
        """Listen anew if somebody removed the socket: without it nobody can ask.

        Raises `StartError` if there is no place for it now; it can be tried again.
        """
        with contextlib.suppress(OSError):
            if os.path.samestat(self._path.lstat(), self._place):
                return
        # As long as there is no other one, the loop of control waits on this one.
        removed, self._socket = self._socket, _listening(self._path)
        removed.close()
        self._place = self._path.lstat()

    def fileno(self) -> int:
        """Give the descriptor, for `select`."""
        return self._socket.fileno()

    def answer(self, status: dict[str, Any]) -> None:
        """Answer one who waits. A caller that does not read gets what fits, and no more time.

        Where this process or the host has no descriptor left, it rests for a second.
        """
        try:
            caller, _ = self._socket.accept()
        except BlockingIOError:
            return  # gone meanwhile
        except OSError as error:
            self._rest(error)
            return
        self._is_told = False
        with caller, contextlib.suppress(OSError):
            caller.setblocking(False)
            caller.send(json.dumps(status).encode())

    def _rest(self, error: OSError) -> None:
        self._rests_until = time.monotonic() + _REST_S
        if not self._is_told:
            _LOG.error("%s: nobody can be answered: %s.", self._path, error.strerror)
        self._is_told = True

    def close(self) -> None:
        """Stop listening. The file stays: it tells how a run ended (see `endings`)."""
        self._socket.close()


def _listening(path: Path) -> socket.socket:
    listening: socket.socket | None = None
    try:
        files.make_directory(path.parent)
        path.unlink(missing_ok=True)  # of a control process that was killed
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with _short(path) as name, _umask(0o177):
            listening.bind(name)
        listening.listen(16)
    except OSError as error:
        if listening is not None:
            listening.close()
        raise StartError(
            f"{path}: {error.strerror}; expected a place for the status socket"
        ) from error
    return listening


def ask(path: Path, answer_s: float = _ANSWER_S) -> dict[str, Any]:
    """The status of the control process at `path`.

    Raises `OSError` if it does not answer; `TimeoutError` or `BlockingIOError` (too many wait
    already) if control is there, and has not answered within `answer_s`.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller, _short(path) as name:
        caller.settimeout(answer_s)
        caller.connect(name)
        answer = bytearray()
        while len(answer) < _ANSWER_BYTES and (content := caller.recv(1 << 16)):
            answer += content
    try:
        status = json.loads(answer)
    except ValueError as error:
        raise OSError(f"{path}: half an answer") from error
    if not isinstance(status, dict):
        raise OSError(f"{path}: not an answer of this agent")
    return status


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for `path` that fits into a socket address (108 bytes), however long the path is."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
