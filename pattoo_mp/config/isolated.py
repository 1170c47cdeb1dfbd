"""Reads the configuration in a forked process, which exits afterwards.

The agent reads its files when it starts, and then hardly ever. What reading takes, YAML and all the
checks, stays in the memory of that process. If the files are on a file system that hangs, that
process hangs, and not control or the command that wants the configuration.

`load`, `check`, `find_owner` and `read_system_daemon_directory` wait for the result; `begin_reload` returns the
`Reader` at once.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import stat
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

import msgpack

from pattoo_mp.config.values import Config
from pattoo_mp.errors import ConfigError, where_and_why
from pattoo_mp.program import this_program
from pattoo_mp.util import users
from pattoo_mp.util.process import die_with, kill_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)

#: Time limits, in seconds. A start can wait; a control process that reloads has other work.
_LOAD_S: Final = 10.0
_RELOAD_S: Final = 5.0
#: A monitoring system that asks for the status hardly waits longer.
_FIND_S: Final = 5.0
#: How long to wait for the process to exit, in seconds.
_END_S: Final = 1.0

_CHUNK_BYTES: Final = 1 << 16
_STDERR: Final = 2

#: What `Reader` makes of a result.
Result = TypeVar("Result")


def load(directory: Path, within_s: float = _LOAD_S) -> Config:
    """Return the configuration in `directory`; make the directories that it names.

    Run by root, this is done as the owner of the directories, as whom the agent will run. Raises `ConfigError`, also if there is no result `within_s`.
    """
    return wait_for_result(Reader(directory, partial(_load, directory), Config.of, within_s))


def check(directory: Path, within_s: float = _LOAD_S) -> Config:
    """Return the configuration in `directory`; change nothing. Raises as `load` does."""
    return wait_for_result(Reader(directory, partial(_check, directory), Config.of, within_s))


def read_system_daemon_directory(directory: Path, within_s: float = _FIND_S) -> Path:
    """Return the setting `system_daemon_directory`, even if other settings are invalid.

    Raises as `load` does.
    """
    task = partial(_read_system_daemon_directory, directory)
    return wait_for_result(Reader(directory, task, Path, within_s))


def read_log_directory(directory: Path, within_s: float = _FIND_S) -> Path:
    """Return the setting `log_directory`, even if other settings are invalid. Raises as `load` does."""
    return wait_for_result(
        Reader(directory, partial(_read_log_directory, directory), Path, within_s)
    )


def find_owner(directory: Path, within_s: float = _FIND_S) -> tuple[int, int] | None:
    """Return user and group of the directories that the configuration names; None if root's.

    Raises as `load` does, and `ConfigError` if they have several owners.
    """
    # `take` returns None for no result yet.
    task = partial(_find_owner, directory)
    return wait_for_result(Reader(directory, task, tuple, within_s)) or None


def answer_of(ask: Callable[[], str], within_s: float) -> str | None:
    """Return the answer of a function that may hang, such as a resolver's; None without one in time.

    It runs in another process, since control has one thread, and could not end a second one.
    """
    try:
        return wait_for_result(Reader(Path(), ask, str, within_s))
    except ConfigError:
        return None


def begin_reload(
    directory: Path, running: Config, within_s: float = _RELOAD_S
) -> Reader[tuple[Config, tuple[str, ...]]]:
    """Begin to read the configuration in `directory` for an agent that runs with `running`.

    The result is the new configuration and the names of the settings that differ. Raises
    `ConfigError` as `Reader` does.
    """
    return Reader(directory, partial(_reload, directory, running), _reloaded, within_s)


def _reloaded(sent: tuple[dict[str, Any], list[str]]) -> tuple[Config, tuple[str, ...]]:
    fields, changed = sent
    return Config.of(fields), tuple(changed)


#: Readers that did not exit even on SIGKILL: the kernel waits for a disk or a file server.
_HANGING: Final[set[Reader[Any]]] = set()


class Reader(Generic[Result]):
    """A forked process that runs `task`, which reads the files in `directory`.

    The task returns values for MessagePack; `convert` makes the result from them. `due_at` is the end
    of the time limit `within_s`, on the monotonic clock. The descriptor is readable when `take` should
    be called.
    """

    def __init__(
        self,
        directory: Path,
        task: Callable[[], object],
        convert: Callable[[Any], Result],
        within_s: float,
        *,
        beside_hanging: bool = False,
    ) -> None:
        """Fork. Raises `ConfigError` if that fails, or unless `beside_hanging` if an earlier one still hangs."""
        if not beside_hanging:
            self._require_no_hanging_reader(directory)
        self._directory = directory
        self._convert = convert
        self._within_s = within_s
        self.due_at = time.monotonic() + within_s
        self._chunks: list[bytes] = []
        try:
            self.pid, self._pipe = _fork(task)
        except OSError as error:
            raise ConfigError(
                [
                    f"{directory}: cannot start a process to read it ({error.strerror}); expected a "
                    "host with room for one"
                ]
            ) from error

    def fileno(self) -> int:
        """The descriptor, for `select`."""
        return self._pipe

    def take(self) -> Result | None:
        """Return the result, or None if it is not complete yet. Never waits.

        Raises the `ConfigError` of the task, and one if there is no result in time.
        """
        if self._is_complete():
            return self._unpack(b"".join(self._chunks))
        if time.monotonic() < self.due_at:
            return None
        raise ConfigError(
            [
                f"{self._directory}: no answer within {self._within_s:g} s; expected files that can "
                "be read"
            ]
        )

    def end(self, wait_s: float = 0.0) -> None:
        """Kill the process, and wait up to `wait_s` seconds until it is gone."""
        self.let_go()
        _HANGING.add(self)
        kill_and_wait(self.pid, wait_s)
        self.has_ended()

    def has_ended(self) -> bool:
        """Whether the process is gone and reaped, after `end`."""
        if self in _HANGING and os.waitpid(self.pid, os.WNOHANG)[0]:
            _HANGING.remove(self)
        return self not in _HANGING

    def let_go(self) -> None:
        """Close the descriptor, in this process or in another fork of it."""
        os.close(self._pipe)

    def _is_complete(self) -> bool:
        """Read what has arrived; whether the end of the pipe was reached."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._pipe, _CHUNK_BYTES):
                self._chunks.append(chunk)
            return True
        return False

    def _unpack(self, packed: bytes) -> Result:
        try:
            outcome = msgpack.unpackb(packed, unicode_errors="surrogateescape")
        except ValueError as error:  # incomplete or empty: the process was killed
            raise ConfigError([self._no_result()]) from error
        if "problems" in outcome:
            raise ConfigError(outcome["problems"])
        if "defect" in outcome:
            _LOG.error("The configuration could not be read: %s", outcome["defect"])
            raise ConfigError([self._no_result()])
        return self._convert(outcome["result"])

    def _no_result(self) -> str:
        return f"{self._directory}: the configuration reader exited without a result; see {this_program().log_name}"

    @staticmethod
    def _require_no_hanging_reader(directory: Path) -> None:
        """Refuse to start another reader: each would stay until the file system answers."""
        for reader in tuple(_HANGING):
            if not reader.has_ended():
                raise ConfigError(
                    [
                        f"{directory}: process {reader.pid}, an earlier reader, still hangs; "
                        "expected files that can be read"
                    ]
                )


def wait_for_result(reader: Reader[Result]) -> Result:
    """Wait for the result of `reader`, and end it. Raises as its `take` does."""
    try:
        while (result := reader.take()) is None:
            select.select([reader], [], [], max(0.0, reader.due_at - time.monotonic()))
        return result
    finally:
        reader.end(_END_S)


def _fork(task: Callable[[], object]) -> tuple[int, int]:
    """Return the PID of the child and the pipe for its outcome. Raises `OSError`, after cleaning up."""
    parent = os.getpid()
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    try:
        pid = os.fork()
        if pid == 0:
            _run_child(task, write_end, parent)
    except OSError:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return pid, read_end


# --- in the child


def _run_child(task: Callable[[], object], pipe: int, parent: int) -> NoReturn:
    """Run the task, write its outcome, and exit: never return into the parent's stack."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)  # belongs to the parent
        die_with(parent, signal.SIGKILL)
        _close_all_but(pipe)
        try:
            outcome = {"result": task()}
        except ConfigError as error:
            outcome = {"problems": error.problems}
        except OSError as error:
            outcome = {"problems": [f"{where_and_why(error)}; expected files that can be read"]}
        except Exception:  # noqa: BLE001 - the outermost of a process: the parent logs it
            outcome = {"defect": traceback.format_exc()}
        with open(pipe, "wb") as file:
            file.write(msgpack.packb(outcome, unicode_errors="surrogateescape"))
        status = 0
    finally:
        os._exit(status)


def _close_all_but(descriptor: int) -> None:
    """Close the descriptors of the parent: a child that hangs must not keep them open.

    An uploader notices by the end of its link that control is gone, and a `--start` by the end of a
    pipe.
    """
    logging.disable()  # its descriptors are closed
    gc.disable()  # a finalizer might close a descriptor that is in use again
    # Those that are open, and not all that might be: in containers the limit may be a billion. The
    # descriptor by which the directory was listed is already closed.
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are numbers
        if int(name) > _STDERR and int(name) != descriptor:
            with contextlib.suppress(OSError):
                os.close(int(name))
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(_STDERR + 1):
        os.dup2(null, standard)
    os.close(null)


def _load(directory: Path) -> dict[str, Any]:
    from pattoo_mp.config import load, owner  # noqa: PLC0415 - only in the child, never in the agent

    # A directory that others could write to would be refused as soon as it is made.
    os.umask(os.umask(0) | stat.S_IWGRP | stat.S_IWOTH)
    if os.geteuid() == 0 and (found := owner.find_owner(directory)):
        users.become(found[0], users.groups_of(*found))
    return load.load(directory).fields()


def _find_owner(directory: Path) -> tuple[int, ...]:
    from pattoo_mp.config import owner  # noqa: PLC0415 - as above

    return owner.find_owner(directory) or ()


def _check(directory: Path) -> dict[str, Any]:
    from pattoo_mp.config import load  # noqa: PLC0415 - as above

    return load.check(directory).fields()


def _read_system_daemon_directory(directory: Path) -> str:
    from pattoo_mp.config import load  # noqa: PLC0415 - as above

    return str(load.read_system_daemon_directory(directory))


def _read_log_directory(directory: Path) -> str:
    from pattoo_mp.config import load  # noqa: PLC0415 - as above

    return str(load.read_log_directory(directory))


def _reload(directory: Path, running: Config) -> tuple[dict[str, Any], list[str]]:
    from pattoo_mp.config import load  # noqa: PLC0415 - as above

    new = load.check_reload(directory, running)
    return new.fields(), [setting.name for setting in load.changes(running, new)]
