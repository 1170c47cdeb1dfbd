"""The status socket: a Unix socket on which control answers each connection with its status as JSON.

Compared with a status file that is rewritten periodically, it costs nothing between requests, is
never stale, and works with a full disk.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import StartError
from pattoo_mp.util import files, json_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)

_NEVER: Final = float("inf")
#: Pause after a failed accept (s): the connection stays pending, and the loop would spin.
_PAUSE_S: Final = 1.0
ANSWER_S: Final = 5.0
_ANSWER_BYTES: Final = 1 << 20


class StatusSocket:
    """Listens at `path`; only the user that runs the agent, and root, may connect."""

    def __init__(self, path: Path) -> None:
        """Start to listen. Raises `StartError`."""
        self._path = path
        self._socket = _listen(path)
        self._file = path.lstat()
        self._paused_until = 0.0
        self._is_logged = False

    @property
    def is_paused(self) -> bool:
        """Whether the loop must not wait on this socket now."""
        return time.monotonic() < self._paused_until

    @property
    def wake_at(self) -> float:
        """When the pause ends, on the monotonic clock; infinity if it is not paused."""
        return self._paused_until if self.is_paused else _NEVER

    def ensure_in_place(self) -> None:
        """Recreate the socket if it was removed: without it, --status gets no answer.

        Raises `StartError` if that is not possible now; it can be tried again later.
        """
        with contextlib.suppress(OSError):
            if os.path.samestat(self._path.lstat(), self._file):
                return
        # If this fails, the old socket stays: control's loop waits on it.
        removed, self._socket = self._socket, _listen(self._path)
        removed.close()
        self._file = self._path.lstat()

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._socket.fileno()

    def answer(self, status: dict[str, Any]) -> None:
        """Answer one pending caller. A caller that does not read gets only what the socket buffers.

        If this process or the host has no descriptor left, pause for a second.
        """
        try:
            caller, _ = self._socket.accept()
        except BlockingIOError:
            return  # the caller has gone
        except OSError as error:
            self._pause(error)
            return
        self._is_logged = False
        with caller, contextlib.suppress(OSError):
            caller.setblocking(False)
            caller.send(json.dumps(status).encode())

    def _pause(self, error: OSError) -> None:
        self._paused_until = time.monotonic() + _PAUSE_S
        if not self._is_logged:
            _LOG.error("%s: cannot answer status requests: %s.", self._path, error.strerror)
        self._is_logged = True

    def close(self) -> None:
        """Stop listening. The file stays: it shows how the run ended (see `run_directory`)."""
        self._socket.close()


def _listen(path: Path) -> socket.socket:
    listening: socket.socket | None = None
    try:
        files.make_directory(path.parent)
        path.unlink(missing_ok=True)  # a killed control process leaves one
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with _short_name(path) as name, _umask(0o177):
            listening.bind(name)
        listening.listen(16)
    except OSError as error:
        if listening is not None:
            listening.close()
        raise StartError(
            f"{path}: {files.reason(error, path)}; expected a path that can hold the status socket"
        ) from error
    return listening


def ask(path: Path, answer_s: float = ANSWER_S) -> dict[str, Any]:
    """Return the status of the control process at `path`.

    Raises `OSError` if there is no answer. It is a `TimeoutError`, or a `BlockingIOError` (too many
    pending callers), if control runs but has not sent the whole answer within `answer_s`.
    """
    until = time.monotonic() + answer_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller, _short_name(path) as name:
        caller.settimeout(answer_s)
        caller.connect(name)
        answer = bytearray()
        while len(answer) < _ANSWER_BYTES and (content := caller.recv(1 << 16)):
            answer += content
            left_s = until - time.monotonic()
            if left_s <= 0:  # it comes drop by drop
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            caller.settimeout(left_s)
    try:
        status = json_text.parse(answer)
    except ValueError as error:
        raise OSError(f"{path}: incomplete answer") from error
    if not isinstance(status, dict):
        raise OSError(f"{path}: the answer is not a status")
    return status


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _short_name(path: Path) -> Iterator[str]:
    """Give a name for `path` that fits into a socket address (108 bytes), however long the path is."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
