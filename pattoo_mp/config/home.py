"""Where the configuration lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "PATTOO_CONFIGDIR"
DEFAULT_DIRECTORY: Final = "/etc/pattoo"


def config_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """`PATTOO_CONFIGDIR`, or /etc/pattoo where that is not set; always absolute.

    Raises `ConfigError` if it is below the home of a user that there is not.
    """
    named = as_named(environment)
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError([f"{VARIABLE}: {named}: {error}; expected a directory"]) from error


def as_named(environment: Mapping[str, str] = os.environ) -> str:
    """What `config_directory` goes by, as it is written there."""
    return environment.get(VARIABLE) or DEFAULT_DIRECTORY
