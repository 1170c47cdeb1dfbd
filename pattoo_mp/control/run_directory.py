"""Whether the agent runs: the kernel's answer to 'who holds the lock', never a file's content.

Control holds a POSIX record lock on its PID file for as long as it lives. The kernel drops the
lock with the process, however that ends, and names the holder to whoever asks (fcntl(2),
F_GETLK). So a file left by a crash or a reboot, or one that names a process of somebody else,
means nothing; the number in it is for people and their scripts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import stat
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.errors import AlreadyRunningError, PattooError, StartError, where_and_why
from pattoo_mp.util import files
from pattoo_mp.util.files import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LOG = logging.getLogger(__name__)

#: struct flock of Linux: type, whence, start, length, process.
_FLOCK: Final = "hhqqi4x"

#: Whatever lies in its place, a named pipe too, is not waited for.
_LOOKING: Final = os.O_RDONLY | os.O_NONBLOCK
#: What a PID file holds. Read as far as that: it may be anything.
_CONTENT: Final = re.compile(rb"(\d{1,10})\n?")
_CONTENT_BYTES: Final = 16


class PidLock:
    """The lock of a running control process, given up when the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock and write our process id. Raises `AlreadyRunningError`, `StartError`.

        A disk without room for the number is no error: it is the lock that counts.
        """
        self._path = path
        self._descriptor = _taken(path)
        self._has_number = False
        with suppress(OSError):
            self._write_number()

    def keep(self) -> None:
        """Make the file again if somebody removed it: without it nobody finds this process.

        Raises as the constructor does, and `OSError` if there is no room for the number, or if
        nobody can tell now whether the file is there.
        """
        if not self._is_in_place():
            removed, self._descriptor = self._descriptor, _taken(self._path)
            os.close(removed)
            # In case it was put back just now, and is the same file: the lock went with that (fcntl(2)).
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._has_number = False
            _LOG.warning(
                "%s was removed; it is made again, or --status and --stop would find nobody.",
                self._path,
            )
        if not self._has_number:
            self._write_number()

    def _is_in_place(self) -> bool:
        """Whether the path leads to the file that we hold."""
        try:
            # Not by opening it: to close it again would drop our lock (fcntl(2)).
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _write_number(self) -> None:
        """Over what is there, and only then cut: a full disk has no other room than that."""
        number = f"{os.getpid()}\n".encode()
        try:
            os.pwrite(self._descriptor, number, 0)
            os.ftruncate(self._descriptor, len(number))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None
        self._has_number = True

    def release(self) -> None:
        """Empty the file and give the lock up."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _taken(path: Path) -> int:
    try:
        files.make_directory(path.parent)
        descriptor = files.open_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StartError(f"{path}: {reason(error, path)}; expected a PID file to write") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StartError(f"{path}: is not a file; expected a PID file to write")
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise AlreadyRunningError(
            f"the agent runs already, as process {running_pid(path) or 'unknown'}"
        ) from error
    return descriptor


def left_behind(path: Path) -> int:
    """The process that the file names although nobody holds its lock; 0 if there is none.

    The number says who wrote it last, and nothing else. Not for the holder itself.
    """
    try:
        descriptor = files.open_file(path, _LOOKING)
    except OSError:
        return 0
    try:
        found = _CONTENT.fullmatch(os.read(descriptor, _CONTENT_BYTES))
    except OSError:  # a directory
        return 0
    finally:
        os.close(descriptor)
    # Asked afterwards: who started meanwhile has written it.
    return int(found[1]) if found and running_pid(path) is None else 0


def running_pid(path: Path) -> int | None:
    """The process that holds the lock on `path`; None if nobody does.

    Not for the holder itself: a process that closes any descriptor of the file drops its lock.
    Raises `PattooError` if we may not look.
    """
    try:
        descriptor = files.open_file(path, _LOOKING)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise PattooError(
            f"{path}: {reason(error, path)}; expected a PID file that we may read"
        ) from error
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, question)
    finally:
        os.close(descriptor)
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else int(pid)


# How a run of the control process ended: in order, or cut short by a kill, a crash, or the host's end.
#
# A run has two marks below its directory: the number in the PID file and the status socket. An end in
# order takes both away. The PID file alone would not tell, for the original agent leaves one, too.


def cut_short(directory: Path) -> int:
    """The control process of the last run, if its end was not in order; 0 if it was, or nobody knows.

    0 too while an agent runs. Not for the control process itself: see `pidlock.holder`.
    """
    pid = left_behind(paths.pid_file(directory))
    return pid if _has_socket(directory) else 0


def tell(pid: int) -> None:
    """Log of a run that was cut short; `pid` is what `cut_short` said before this one began."""
    if pid:
        _LOG.warning(
            "The last run (process %d) did not end in order: it was killed, it crashed, or the host "
            "went down.",
            pid,
        )


def forgive(directory: Path) -> None:
    """Take a mark of a run away that was ended by force: somebody asked for that."""
    with contextlib.suppress(OSError):
        paths.status_socket(directory).unlink(missing_ok=True)


@contextlib.contextmanager
def run_below(directory: Path) -> Iterator[PidLock]:
    """Hold the lock for a run of this process, and take its marks away if that ends in order.

    That is also an end by an error that a person is told of. Any other error is logged here, since
    nobody may see it elsewhere. Raises `AlreadyRunningError`, `StartError`.
    """
    lock = PidLock(paths.pid_file(directory))
    # Of a run that was cut short: with our number in the PID file it would speak of this one.
    forgive(directory)
    try:
        yield lock
    except PattooError:
        _end(directory, lock)
        raise
    except Exception:
        _LOG.exception("Control ends by an error.")
        raise
    _end(directory, lock)


def _end(directory: Path, lock: PidLock) -> None:
    forgive(directory)
    lock.release()


def _has_socket(directory: Path) -> bool:
    try:
        return paths.status_socket(directory).is_socket()
    except OSError:
        return False


# Who runs a control process: noted when it starts, so that a later command can ask for it.
#
# Apart from `supervisor`, which talks to supervisord: XML-RPC costs 3 MB, and control never talks.


def note_supervisor(path: Path, environment: Mapping[str, str]) -> None:
    """Note who runs this control process, for a later `--start` or `--stop`.

    Where the note cannot be written the agent polls all the same, and the log says what lacks.
    """
    try:
        _note(path, environment)
    except OSError as error:
        _LOG.warning(
            "%s; --start and --stop cannot ask the supervisor, which may start what they end.",
            where_and_why(error),
        )


@contextmanager
def noted_if_refused(path: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Note who runs this control process also where another one runs, that nobody's note speaks of.

    That one was started by hand. Whoever ends it has to end the supervisor's tries, too.
    """
    try:
        yield
    except AlreadyRunningError:
        with suppress(OSError):
            if not path.exists():
                _note(path, environment)
        raise


def _note(path: Path, environment: Mapping[str, str]) -> None:
    url = environment.get("SUPERVISOR_SERVER_URL")
    process = environment.get("SUPERVISOR_PROCESS_NAME")
    if not url or not process:
        path.unlink(missing_ok=True)
        return
    group = environment.get("SUPERVISOR_GROUP_NAME", process)
    files.make_directory(path.parent)
    files.replace_file(path, json.dumps({"url": url, "name": f"{group}:{process}"}))
