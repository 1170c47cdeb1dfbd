"""A process that answers one question about the configuration, and goes away."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import time
import traceback
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgpack

from pattoo_mp.control.child import end
from pattoo_mp.control.parent import die_with
from pattoo_mp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOG = logging.getLogger(__name__)

_END_S: Final = 1.0
_PART_BYTES: Final = 1 << 16
_STDERR: Final = 2

#: Those of ours that did not even end by SIGKILL: the kernel waits for a disk or a server.
_HANGING: Final[set[int]] = set()


def answer(directory: Path, question: Callable[[], object], within_s: float) -> Any:  # noqa: ANN401 - as asked
    """What `question` about the files in `directory` gives, asked in a fork.

    Raises the `ConfigError` that it raises; one, too, if there is no answer `within_s`, if an earlier
    reader still hangs, or if the host has no room for another process.
    """
    _wait_for_those_that_hang(directory)
    packed = _asked(directory, question, within_s)
    if packed is None:
        raise ConfigError(
            [f"{directory}: no answer within {within_s:g} s; expected files that can be read"]
        )
    try:
        given = msgpack.unpackb(packed, unicode_errors="surrogateescape")
    except ValueError as error:  # cut short, or nothing at all
        raise ConfigError([_ended(directory)]) from error
    if "problems" in given:
        raise ConfigError(given["problems"])
    if "defect" in given:
        _LOG.error("The configuration could not be read: %s", given["defect"])
        raise ConfigError([_ended(directory)])
    return given["is"]


def _asked(directory: Path, question: Callable[[], object], within_s: float) -> bytes | None:
    """The answer of a fork as it comes; None if that does not come in time."""
    parent = os.getpid()
    try:
        answers, answer_to = os.pipe()
    except OSError as error:
        raise ConfigError([_no_reader(directory, error)]) from error
    try:
        pid = os.fork()
        if pid == 0:
            _be_asked(question, answer_to, parent)
    except OSError as error:
        os.close(answers)
        raise ConfigError([_no_reader(directory, error)]) from error
    finally:
        os.close(answer_to)
    try:
        return _all_of(answers, time.monotonic() + within_s)
    finally:
        os.close(answers)
        _HANGING.add(pid)
        end(pid, _END_S)
        _forget_who_has_ended()


def _wait_for_those_that_hang(directory: Path) -> None:
    """Another reader would hang, too; each of them would stay until the file system answers."""
    _forget_who_has_ended()
    if _HANGING:
        raise ConfigError(
            [
                f"{directory}: process {min(_HANGING)}, which was to read it, still hangs; expected "
                "files that can be read"
            ]
        )


def _forget_who_has_ended() -> None:
    for pid in tuple(_HANGING):
        if os.waitpid(pid, os.WNOHANG)[0]:
            _HANGING.remove(pid)


def _ended(directory: Path) -> str:
    return f"{directory}: the process that read it has ended; expected it to say what is there"


def _no_reader(directory: Path, error: OSError) -> str:
    return f"{directory}: {error.strerror}; expected a host with room for a process that reads it"


def _all_of(descriptor: int, until: float) -> bytes | None:
    """What comes on a pipe before its end; None if that does not come in time."""
    parts: list[bytes] = []
    while select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(descriptor, _PART_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


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
            what = f"{error.filename or 'system'}: {error.strerror}"
            answer = {"problems": [f"{what}; expected files that can be read"]}
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
