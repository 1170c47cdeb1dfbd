"""A process that answers one question about the configuration, and goes away."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

import msgpack

from pattoo_mp.config.values import Config
from pattoo_mp.errors import ConfigError, where_and_why
from pattoo_mp.util.process import die_with, kill_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)

_END_S: Final = 1.0
_PART_BYTES: Final = 1 << 16
_STDERR: Final = 2

#: What the asker makes of an answer.
Made = TypeVar("Made")

#: Those of ours that did not even end by SIGKILL: the kernel waits for a disk or a server.
_HANGING: Final[set[Reader[Any]]] = set()


class Reader(Generic[Made]):
    """A fork that is asked `question` about the files in `directory`.

    Its answer, as values for MessagePack, is given to `make`. Until `due_at`, `within_s` from now, it
    may be waited for: its descriptor is readable when there is something to take.
    """

    def __init__(
        self,
        directory: Path,
        question: Callable[[], object],
        make: Callable[[Any], Made],
        within_s: float,
    ) -> None:
        """Ask. Raises `ConfigError` if an earlier one still hangs, or the host has no room for it."""
        self._forbid_a_second_that_hangs(directory)
        self._directory = directory
        self._make = make
        self._within_s = within_s
        self.due_at = time.monotonic() + within_s
        self._parts: list[bytes] = []
        try:
            self.pid, self._answers = _fork(question)
        except OSError as error:
            raise ConfigError(
                [
                    f"{directory}: {error.strerror}; expected a host with room for a process that "
                    "reads it"
                ]
            ) from error

    def fileno(self) -> int:
        """Give the descriptor, for `select`."""
        return self._answers

    def take(self) -> Made | None:
        """What is made of the answer; None as long as that is not all there. It never waits.

        Raises the `ConfigError` that the question raises, and one if there is no answer in time.
        """
        if self._has_all():
            return self._understood(b"".join(self._parts))
        if time.monotonic() < self.due_at:
            return None
        raise ConfigError(
            [
                f"{self._directory}: no answer within {self._within_s:g} s; expected files that can "
                "be read"
            ]
        )

    def end(self, wait_s: float = 0.0) -> None:
        """Wait for no answer any more, and for its end no longer than `wait_s`."""
        self.let_go()
        _HANGING.add(self)
        kill_and_wait(self.pid, wait_s)
        self.has_ended()

    def has_ended(self) -> bool:
        """Whether it is gone, after `end`; nothing is left of it then."""
        if self in _HANGING and os.waitpid(self.pid, os.WNOHANG)[0]:
            _HANGING.remove(self)
        return self not in _HANGING

    def let_go(self) -> None:
        """Close the descriptor: that is all there is of it in another fork of the same parent."""
        os.close(self._answers)

    def _has_all(self) -> bool:
        """Whether its answer is here, up to the end of the pipe, now that all that came is taken."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._answers, _PART_BYTES):
                self._parts.append(part)
            return True
        return False

    def _understood(self, packed: bytes) -> Made:
        try:
            given = msgpack.unpackb(packed, unicode_errors="surrogateescape")
        except ValueError as error:  # cut short, or nothing at all
            raise ConfigError([self._ended()]) from error
        if "problems" in given:
            raise ConfigError(given["problems"])
        if "defect" in given:
            _LOG.error("The configuration could not be read: %s", given["defect"])
            raise ConfigError([self._ended()])
        return self._make(given["is"])

    def _ended(self) -> str:
        return f"{self._directory}: the process that read it has ended; expected it to say what is there"

    @staticmethod
    def _forbid_a_second_that_hangs(directory: Path) -> None:
        """Each would stay until the file system answers."""
        for reader in tuple(_HANGING):
            if not reader.has_ended():
                raise ConfigError(
                    [
                        f"{directory}: process {reader.pid}, which was to read it, still hangs; "
                        "expected files that can be read"
                    ]
                )


def answer(reader: Reader[Made]) -> Made:
    """Wait for what `reader` answers. Raises as its `take` does."""
    try:
        while (made := reader.take()) is None:
            select.select([reader], [], [], max(0.0, reader.due_at - time.monotonic()))
        return made
    finally:
        reader.end(_END_S)


def _fork(question: Callable[[], object]) -> tuple[int, int]:
    """The process that is asked, and where its answer comes. Raises `OSError`; nothing is left."""
    parent = os.getpid()
    answers, answer_to = os.pipe()
    os.set_blocking(answers, False)
    try:
        pid = os.fork()
        if pid == 0:
            _be_asked(question, answer_to, parent)
    except OSError:
        os.close(answers)
        raise
    finally:
        os.close(answer_to)
    return pid, answers


# --- in the process that goes away


def _be_asked(question: Callable[[], object], answer_to: int, parent: int) -> NoReturn:
    """Answer, and never return: the rest of this process's stack is its parent's."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)  # it is the parent's
        die_with(parent, signal.SIGKILL)
        _let_go_of_all_but(answer_to)
        try:
            answer = {"is": question()}
        except ConfigError as error:
            answer = {"problems": error.problems}
        except OSError as error:
            answer = {"problems": [f"{where_and_why(error)}; expected files that can be read"]}
        except Exception:  # noqa: BLE001 - the outermost of a process: the parent logs it
            answer = {"defect": traceback.format_exc()}
        with open(answer_to, "wb") as file:
            file.write(msgpack.packb(answer, unicode_errors="surrogateescape"))
        status = 0
    finally:
        os._exit(status)


def _let_go_of_all_but(descriptor: int) -> None:
    """Should this process hang, nobody is to wait for the end of what it has from its parent.

    An uploader knows by the end of its link that control is gone, and a `--start` by the end of a pipe.
    """
    logging.disable()  # it would write to what is closed
    gc.disable()  # it might close what is closed already, and by then something else
    os.closerange(_STDERR + 1, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(_STDERR + 1):
        os.dup2(nowhere, standard)
    os.close(nowhere)


# The configuration, read by a process of its own.
#
# The agent reads its files when it starts, and then hardly ever. What that takes, YAML and all the
# checks, is in the memory of a process that goes away with it. And where the files lie on a file
# system that hangs, it is that process that hangs, and not control, nor the command that asks.

#: A start has the time; a control process that is asked to reload has other things to do.
_LOAD_S: Final = 10.0
_RELOAD_S: Final = 5.0
#: A monitoring system that asks for the status waits for hardly more.
_FIND_S: Final = 5.0


def load(directory: Path, within_s: float = _LOAD_S) -> Config:
    """The configuration in `directory`; the directories that it names are made.

    Raises `ConfigError`, also if there is no answer `within_s`.
    """
    return answer(Reader(directory, partial(_loaded, directory), Config.of, within_s))


def check(directory: Path, within_s: float = _LOAD_S) -> Config:
    """The configuration in `directory`; nothing is made. Raises as `load` does."""
    return answer(Reader(directory, partial(_checked, directory), Config.of, within_s))


def find(directory: Path, within_s: float = _FIND_S) -> Path:
    """The `system_daemon_directory` that the files in `directory` name, be the rest right or wrong.

    Raises as `load` does.
    """
    return answer(Reader(directory, partial(_found, directory), Path, within_s))


def read_anew(
    directory: Path, running: Config, within_s: float = _RELOAD_S
) -> Reader[tuple[Config, tuple[str, ...]]]:
    """Read the configuration in `directory` for an agent that goes by `running`; do not wait for it.

    The answer is the configuration, and the settings in which it differs, by their names. Raises
    `ConfigError` as `Reader` does.
    """
    return Reader(directory, partial(_read_anew, directory, running), _renewal, within_s)


def _renewal(answer: tuple[dict[str, Any], list[str]]) -> tuple[Config, tuple[str, ...]]:
    fields, changed = answer
    return Config.of(fields), tuple(changed)


# --- in the process that goes away


def _loaded(directory: Path) -> dict[str, Any]:
    from pattoo_mp.config import load  # noqa: PLC0415 - here, and nowhere in the agent

    return load.load(directory).fields()


def _checked(directory: Path) -> dict[str, Any]:
    from pattoo_mp.config import load  # noqa: PLC0415 - as above

    return load.check(directory).fields()


def _found(directory: Path) -> str:
    from pattoo_mp.config import load  # noqa: PLC0415 - as above

    return str(load.running_directory(directory))


def _read_anew(directory: Path, running: Config) -> tuple[dict[str, Any], list[str]]:
    from pattoo_mp.config import load  # noqa: PLC0415 - as above

    new = load.read_anew(directory, running)
    return new.fields(), [setting.name for setting in load.changes(running, new)]
