"""The configuration, read by a process of its own.

The agent reads its files when it starts, and then hardly ever. What that takes, YAML and all the
checks, is in the memory of a process that goes away with it. And where the files lie on a file
system that hangs, it is that process that hangs, for a limited time, and not control.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgpack

from pattoo_mp.config.values import Config
from pattoo_mp.control.child import end
from pattoo_mp.control.parent import die_with
from pattoo_mp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOG = logging.getLogger(__name__)

#: A start has the time; a control process that is asked to reload has other things to do.
_LOAD_S: Final = 10.0
_RELOAD_S: Final = 5.0
_END_S: Final = 1.0
_PART_BYTES: Final = 1 << 16


def load(directory: Path, within_s: float = _LOAD_S) -> Config:
    """The configuration in `directory`; the directories that it names are made.

    Raises `ConfigError`, also if there is no answer `within_s`.
    """
    return Config.of(_answer(directory, partial(_loaded, directory), within_s))


def read_anew(
    directory: Path, running: Config, within_s: float = _RELOAD_S
) -> tuple[Config, tuple[str, ...]]:
    """The configuration in `directory` for an agent that goes by `running`, and what has changed.

    That is named by its settings. Raises `ConfigError`, also if there is no answer `within_s`.
    """
    fields, changed = _answer(directory, partial(_read_anew, directory, running), within_s)
    return Config.of(fields), tuple(changed)


# --- in the process that goes away


def _loaded(directory: Path) -> dict[str, Any]:
    from pattoo_mp.config import loading  # noqa: PLC0415 - here, and nowhere in the agent

    return loading.load(directory).fields()


def _read_anew(directory: Path, running: Config) -> tuple[dict[str, Any], list[str]]:
    from pattoo_mp.config import change  # noqa: PLC0415 - as above

    new = change.read_anew(directory, running)
    return new.fields(), [setting.name for setting in change.changes(running, new)]


def _be_asked(question: Callable[[], object], answer_to: int, parent: int) -> NoReturn:
    """Answer, and never return: the rest of this process's stack is its parent's."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)  # it is the parent's
        die_with(parent, signal.SIGKILL)
        try:
            answer = {"is": question()}
        except ConfigError as error:
            answer = {"problems": error.problems}
        with open(answer_to, "wb") as file:
            file.write(msgpack.packb(answer))
        status = 0
    except Exception:  # noqa: BLE001 - the outermost of a process: logged, and its status tells
        _LOG.exception("The configuration could not be read.")
    finally:
        os._exit(status)


# --- in the process that asks


def _answer(directory: Path, question: Callable[[], object], within_s: float) -> Any:  # noqa: ANN401 - as asked
    """What `question` gives, asked in a fork. Raises the `ConfigError` that it raises."""
    answers, answer_to = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(answers)
        _be_asked(question, answer_to, parent)
    os.close(answer_to)
    try:
        packed = _all_of(answers, time.monotonic() + within_s)
    finally:
        os.close(answers)
        end(pid, _END_S)
        os.waitpid(pid, os.WNOHANG)
    if packed is None:
        raise ConfigError(
            [f"{directory}: no answer within {within_s:g} s; expected files that can be read"]
        )
    try:
        answer = msgpack.unpackb(packed)
    except ValueError as error:  # cut short, or nothing at all
        raise ConfigError(
            [f"{directory}: the process that read it has ended; expected it to say what is there"]
        ) from error
    if "problems" in answer:
        raise ConfigError(answer["problems"])
    return answer["is"]


def _all_of(descriptor: int, until: float) -> bytes | None:
    """What comes on a pipe before its end; None if that does not come in time."""
    parts: list[bytes] = []
    while select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(descriptor, _PART_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None
