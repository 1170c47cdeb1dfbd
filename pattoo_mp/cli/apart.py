"""The configuration, read by a process of its own.

The agent reads its files when it starts, and then hardly ever. What that takes, YAML and all the
checks, is in the memory of a process that goes away with it. And where the files lie on a file
system that hangs, it is that process that hangs, and not control, nor the command that asks.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from pattoo_mp.cli.reader import Reader, answer
from pattoo_mp.config.values import Config

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
    from pattoo_mp.config import loading  # noqa: PLC0415 - here, and nowhere in the agent

    return loading.load(directory).fields()


def _checked(directory: Path) -> dict[str, Any]:
    from pattoo_mp.config import loading  # noqa: PLC0415 - as above

    return loading.check(directory).fields()


def _found(directory: Path) -> str:
    from pattoo_mp.config import loading  # noqa: PLC0415 - as above

    return str(loading.running_directory(directory))


def _read_anew(directory: Path, running: Config) -> tuple[dict[str, Any], list[str]]:
    from pattoo_mp.config import change  # noqa: PLC0415 - as above

    new = change.read_anew(directory, running)
    return new.fields(), [setting.name for setting in change.changes(running, new)]
