"""The files of a running control process: PID file, mark of a clean exit, newest tick, supervisor record.

The PID file. Whether the agent runs is the kernel's answer to "who holds the lock", never a file's
content. Control holds a POSIX record lock on its PID file as long as it lives. The kernel releases
the lock when the process exits for any reason, and names the holder on request (fcntl(2), F_GETLK).
So a file left by a crash or a reboot, or one that names an unrelated process, means nothing. The PID
in it is for people and their scripts.

The end of a run. A run leaves two marks: the PID in the PID file, and the status socket. A clean
exit removes both. The PID file alone is not enough, since the original agent leaves one as well.

The newest tick. The spool knows it too, once the poll is committed: not while the disk is full, and
not if control is killed before. If the clock is then set back, the next run comes to the same ticks
again. So control notes each tick before it reports or passes on anything of it.

The supervisor record. Control records at its start which supervisord runs it, so that a later
command can talk to that one. `operate.supervisor` does the talking: XML-RPC costs 3 MB, and control
never needs it.
"""

from __future__ import annotations

import contextlib
import errno
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

#: Never blocks, even if the path is a named pipe.
_READ_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK
#: The content of a PID file. No more than that is read, since the file may be anything.
_CONTENT: Final = re.compile(rb"(\d{1,10})\n?")
_CONTENT_BYTES: Final = 16
#: In place of a process number: the kernel names no process of this host (see `running_pid`).
UNNAMED: Final = 0
#: The errors of fcntl(2) that mean that another process has the lock.
_LOCKED: Final = frozenset({errno.EACCES, errno.EAGAIN})


class PidLock:
    """The lock of a running control process. The kernel releases it when the process exits."""

    def __init__(self, path: Path) -> None:
        """Take the lock and write our PID. Raises `AlreadyRunningError`, `StartError`.

        A full disk, with no room for the PID, is no error: only the lock counts.
        """
        self._path = path
        self._descriptor = _open_locked(path)
        self._has_pid = False
        with suppress(OSError):
            self._write_pid()

    def ensure_in_place(self) -> None:
        """Recreate the file if it was removed: without it, this process cannot be found.

        Raises like the constructor, and `OSError` if there is no room for the PID, or if the file
        cannot be checked.
        """
        if not self._is_in_place():
            removed, self._descriptor = self._descriptor, _open_locked(self._path)
            os.close(removed)
            # If the file was just put back, both descriptors are of the same file. Then closing one
            # has released the lock (fcntl(2)).
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._has_pid = False
            _LOG.warning(
                "%s was removed; recreating it, since --status and --stop need it.",
                self._path,
            )
        if not self._has_pid:
            self._write_pid()

    def _is_in_place(self) -> bool:
        """Whether the path is still the file that we have locked."""
        try:
            # Do not open the file: closing it again would release our lock (fcntl(2)).
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _write_pid(self) -> None:
        """Overwrite the content, then truncate: a full disk has no other room for the PID."""
        pid = f"{os.getpid()}\n".encode()
        try:
            os.pwrite(self._descriptor, pid, 0)
            os.ftruncate(self._descriptor, len(pid))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None
        self._has_pid = True

    def release(self) -> None:
        """Empty the file and release the lock."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _open_locked(path: Path) -> int:
    """Return a descriptor of the locked PID file. Raises as `PidLock` does."""
    try:
        files.make_directory(path.parent)
        descriptor = files.open_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StartError(f"{path}: {reason(error, path)}; expected a writable PID file") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StartError(f"{path}: not a regular file; expected a writable PID file")
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in _LOCKED:
            raise _no_lock(path, error) from error
        raise AlreadyRunningError(
            f"the agent is already running as {holder(running_pid(path))}"
        ) from error
    return descriptor


def _no_lock(path: Path, error: OSError) -> StartError:
    return StartError(
        f"{path}: cannot be locked ({error.strerror}); expected a file system with locks"
    )


def _stale_pid(path: Path) -> int:
    """Return the PID in an unlocked PID file; 0 if the file is locked or holds none.

    It is the PID of the last process that wrote it, and says nothing more. Not for the holder of the
    lock.
    """
    try:
        found = _CONTENT.fullmatch(files.read_file(path, _CONTENT_BYTES))
    except OSError:
        return 0
    # Check the lock last: an agent that started meanwhile may have written the PID.
    return int(found[1]) if found and running_pid(path) is None else 0


def running_pid(path: Path) -> int | None:
    """Return the PID of the process that holds the lock on `path`; None if there is none.

    It is `UNNAMED` if the kernel names no process that we could signal (fcntl(2)): 0 is a process of
    another PID namespace, a container beside us for example; -1 a lock without an owner; and other
    negative numbers are processes of another host.

    Not for the holder itself: a process that closes any descriptor of the file releases its lock.
    Raises `PattooError` if the file cannot be read.
    """
    try:
        descriptor = files.open_file(path, _READ_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise PattooError(f"{path}: {reason(error, path)}; expected a readable PID file") from error
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, question)
    except OSError as error:
        raise _no_lock(path, error) from error
    finally:
        os.close(descriptor)
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else max(int(pid), UNNAMED)


def holder(pid: int | None) -> str:
    """Return the words for the holder of the lock; `pid` is the result of `running_pid`."""
    if pid == UNNAMED:
        return "a process that the kernel does not name here"
    return f"process {pid or 'unknown'}"


# --- how a run ended: by a clean exit, or cut short by a kill, a crash, or the end of the host


def cut_short_pid(directory: Path) -> int:
    """Return the PID of the last control process if it was cut short; 0 if not, or if unknown.

    Also 0 while an agent runs. Not for the control process itself: see `running_pid`.
    """
    pid = _stale_pid(paths.pid_file(directory))
    return pid if _has_socket(directory) else 0


def log_cut_short(pid: int) -> None:
    """Log that the last run was cut short; `pid` is the result of `cut_short_pid` before this run."""
    if pid:
        _LOG.warning(
            "The last run (process %d) did not exit cleanly: it was killed, it crashed, or the host went "
            "down.",
            pid,
        )


def remove_status_socket(directory: Path) -> None:
    """Remove the status socket, so that the run does not count as cut short.

    For a clean exit, and for a run that was killed on request (--stop --force).
    """
    with contextlib.suppress(OSError):
        paths.status_socket(directory).unlink(missing_ok=True)


@contextlib.contextmanager
def locked_run(directory: Path) -> Iterator[PidLock]:
    """Hold the lock for a run of this process, and remove its marks on a clean exit.

    An exit with a `PattooError` is clean: the user sees the error. Any other error is logged here,
    since it may be visible nowhere else. Raises `AlreadyRunningError`, `StartError`.
    """
    lock = PidLock(paths.pid_file(directory))
    # A socket left by a run that was cut short would, with our PID in the PID file, be taken for ours.
    remove_status_socket(directory)
    try:
        yield lock
    except PattooError:
        _end(directory, lock)
        raise
    except Exception:
        _LOG.exception("Control failed with an unexpected error.")
        raise
    _end(directory, lock)


def _end(directory: Path, lock: PidLock) -> None:
    remove_status_socket(directory)
    lock.release()


def _has_socket(directory: Path) -> bool:
    try:
        return paths.status_socket(directory).is_socket()
    except OSError:
        return False


# --- the newest tick that was polled, or reported as missed


class TickFile:
    """The newest tick (ms since the epoch), in a file that outlives a kill.

    The first `note` needs room on the disk. All later ones overwrite these bytes, so they also work on
    a full disk. It is not synced: a host that goes down loses it, and then the spool's newest poll counts.
    """

    def __init__(self, path: Path) -> None:
        #: The newest tick of earlier runs; 0 if the file has none.
        self.earlier_ms = 0
        self._descriptor: int | None = None
        with suppress(OSError):
            files.make_directory(path.parent)
            files.make_file(path)
            self.earlier_ms = _noted_ms(files.read_file(path, _TICK.size))
            self._descriptor = files.open_file(path, os.O_WRONLY)

    def note(self, tick_ms: int) -> None:
        """Note a tick. A failure costs what the file is for, and no poll."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.pwrite(self._descriptor, _TICK.pack(tick_ms, ~tick_ms), 0)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


#: The tick, and all its bits inverted, which shows whether both were written.
_TICK: Final = struct.Struct(">qq")


def _noted_ms(content: bytes) -> int:
    if len(content) != _TICK.size:
        return 0
    tick_ms, inverted = _TICK.unpack(content)
    return int(tick_ms) if tick_ms == ~inverted and tick_ms > 0 else 0


# --- which supervisord runs the control process


def record_supervisor(path: Path, environment: Mapping[str, str]) -> None:
    """Record which supervisord runs this control process, for a later `--start` or `--stop`.

    If the record cannot be written, log a warning; the agent polls all the same.
    """
    try:
        _record(path, environment)
    except OSError as error:
        _LOG.warning(
            "%s; --start and --stop cannot ask the supervisor, which may restart what they stop.",
            where_and_why(error),
        )


@contextmanager
def record_supervisor_if_refused(path: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Record our supervisord also if another agent is running and has no record.

    That agent was started by hand. Stopping it must also stop our supervisord's retries.
    """
    try:
        yield
    except AlreadyRunningError:
        with suppress(OSError):
            if not path.exists():
                _record(path, environment)
        raise


def _record(path: Path, environment: Mapping[str, str]) -> None:
    url = environment.get("SUPERVISOR_SERVER_URL")
    process = environment.get("SUPERVISOR_PROCESS_NAME")
    if not url or not process:
        path.unlink(missing_ok=True)
        return
    group = environment.get("SUPERVISOR_GROUP_NAME", process)
    files.make_directory(path.parent)
    files.replace_file(path, json.dumps({"url": url, "name": f"{group}:{process}"}))
