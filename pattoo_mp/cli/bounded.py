"""The configuration, read within a limited time: it may lie on a file system that hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.config import loading
from pattoo_mp.errors import ConfigError
from pattoo_mp.timelimit import NoAnswerError, TimeLimited

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.reading import Reading

_READ_S: Final = 10.0


def look(directory: Path, read_s: float = _READ_S) -> Reading:
    """What the files in `directory` say. Raises `ConfigError` if they cannot be had in `read_s`."""
    limited: TimeLimited[Path, Reading] = TimeLimited("configuration", loading.look, read_s)
    try:
        return limited.ask_one(directory)
    except NoAnswerError as error:
        raise ConfigError([f"{directory}: {error}; expected files that can be read"]) from error
