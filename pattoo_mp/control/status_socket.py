"""The status socket: a Unix socket on which control answers each connection with its status as JSON.

Compared with a status file that is rewritten periodically, it costs nothing between requests, is
never stale, and works with a full disk.

An answer may be larger than what a socket buffers. Control's loop sends the rest as the caller reads
it. A caller that does not read holds nothing up.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import StartError
from pattoo_mp.util import files, json_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from _typeshed import FileDescriptorLike

_LOG = logging.getLogger(__name__)

_NEVER: Final = float("inf")
#: Pause after a failed accept (s): the connection stays pending, and the loop would spin.
_PAUSE_S: Final = 1.0
ANSWER_S: Final = 5.0
#: More than the largest status: 100 left-out sources may have names of 4 kB, in which each byte takes
#: up to 5 characters in JSON, and errors with those names.
#: A hub with 20,000 spokes has 500 bytes for each, besides the reasons of those that are not well.
_ANSWER_BYTES: Final = 1 << 25
#: So many callers may be reading. If there are more, the one that began first is given up.
_CALLERS: Final = 8
#: A caller that has read nothing for this long (s) is given up.
_UNREAD_S: Final = 10.0


class Caller:
    """A caller and the rest of its answer, which it has until `due_at` to read a part of."""

    def __init__(self, connection: socket.socket, answer: bytes) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._unsent = memoryview(answer)
        self.due_at = time.monotonic() + _UNREAD_S

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._connection.fileno()

    def send(self) -> bool:
        """Send what fits into the socket's buffer. Return whether there is more to send."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._connection.send(self._unsent) :]
                self.due_at = time.monotonic() + _UNREAD_S
        except BlockingIOError:
            return True
        except OSError:  # the caller has gone
            return False
        return False

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


class StatusSocket:
    """Listens at `path`; only the user that runs the agent, and root, may connect."""

    def __init__(self, path: Path) -> None:
        """Start to listen. Raises `StartError`."""
        self._path = path
        self._socket = _listen(path)
        self._file = path.lstat()
        self._paused_until = 0.0
        self._is_logged = False
        self._callers: deque[Caller] = deque()

    @property
    def callers(self) -> tuple[Caller, ...]:
        """The callers that have not taken all of their answers; for `select`."""
        return tuple(self._callers)

    @property
    def is_paused(self) -> bool:
        """Whether the loop must not wait on this socket now."""
        return time.monotonic() < self._paused_until

    @property
    def wake_at(self) -> float:
        """When `flush` or a pending caller is due, on the monotonic clock; infinity if never."""
        pause_ends = self._paused_until if self.is_paused else _NEVER
        return min([pause_ends, *(caller.due_at for caller in self._callers)])

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
        """Answer one pending caller; `flush` sends what does not fit into the socket's buffer.

        If this process or the host has no descriptor left, pause for a second.
        """
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return  # the caller has gone
        except OSError as error:
            self._pause(error)
            return
        self._is_logged = False
        caller = Caller(connection, json.dumps(status).encode())
        self._callers.append(caller)
        self.flush([caller])
        if len(self._callers) > _CALLERS:
            self._callers.popleft().close()

    def flush(self, writable: Collection[FileDescriptorLike]) -> None:
        """Send more to the callers that can be written to. Give up those that have read nothing."""
        for caller in self.callers:
            more = caller.send() if caller in writable else time.monotonic() < caller.due_at
            if not more:
                caller.close()
                self._callers.remove(caller)

    def _pause(self, error: OSError) -> None:
        self._paused_until = time.monotonic() + _PAUSE_S
        if not self._is_logged:
            _LOG.error("%s: cannot answer status requests: %s.", self._path, error.strerror)
        self._is_logged = True

    def close(self) -> None:
        """Stop listening and answering. The file stays: it shows how the run ended (`run_directory`)."""
        self._socket.close()
        for caller in self._callers:
            caller.close()


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
