"""What is there: a look at the host, without changing it."""

from __future__ import annotations

import hashlib
import os
import pwd
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from pattoo_mp.config import load
from pattoo_mp.config.settings import SETTINGS, SHARED_FILE
from pattoo_mp.errors import ConfigError, SetupError
from pattoo_mp.setup.inventory import CONFIGURATION, sample_directories

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Kind(Enum):
    """What a path leads to."""

    NOTHING = "nothing"
    FILE = "a file"
    DIRECTORY = "a directory"


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to: the digest of a file's content, the owner of a directory."""

    kind: Kind
    digest: str = ""
    owner: str = ""


def below(root: Path, path: str) -> Path:
    """Where `path` of the host is, below `root`."""
    return root / path.lstrip("/")


def look(root: Path, paths: Iterable[str]) -> dict[str, Found]:
    """Look at each path. Raises `SetupError` for one that cannot be read."""
    return {path: _look(below(root, path)) for path in paths}


def _look(path: Path) -> Found:
    try:
        if path.is_dir():
            return Found(Kind.DIRECTORY, owner=_owner(path))
        if not os.path.lexists(path):
            return Found(Kind.NOTHING)
        return Found(Kind.FILE, hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; expected a file or a directory") from error


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"


def has_user(name: str) -> bool:
    """Whether the host knows a user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def agents_directories(root: Path) -> dict[str, str]:
    """The directories that the configuration names, by setting; the sample's if there is none yet.

    Raises `ConfigError` if it cannot be read or names what is no directory.
    """
    path = below(root, CONFIGURATION) / SHARED_FILE
    if not path.exists():
        return sample_directories()
    problems: list[str] = []
    sections = load.read_file(path, problems)
    values = {
        setting.name: load.find(setting, path, sections, problems).value
        for setting in SETTINGS
        if setting.is_written_to and not problems
    }
    if problems:
        raise ConfigError(problems)
    return {name: str(value) for name, value in values.items() if value is not None}


def unreachable(directory: Path) -> Path | None:
    """The first directory on the way to `directory` that not everybody may pass, if there is one."""
    for step in [*reversed(directory.parents), directory]:
        if not step.stat().st_mode & 0o001:
            return step
    return None
