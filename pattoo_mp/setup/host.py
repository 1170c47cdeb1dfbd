"""What belongs onto a host: the directories and files of an installed agent. Pure."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from pattoo_mp.config import load, sample
from pattoo_mp.config.settings import FILES, SETTINGS, SHARED_FILE
from pattoo_mp.errors import ConfigError, SetupError
from pattoo_mp.paths import DEFAULT_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


USER: Final = "pattoo"
CONFIGURATION: Final = DEFAULT_DIRECTORY


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory; the agent's user owns it and nobody else looks in, or root does."""

    path: str
    is_agents: bool

    @property
    def mode(self) -> int:
        """Its permissions."""
        return 0o750 if self.is_agents else 0o755


@dataclass(frozen=True, slots=True)
class File:
    """A file of root's that everybody may read, with what we ship as its content."""

    path: str
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that belongs onto the host. Paths are absolute, without a `--root` before them."""

    directories: tuple[Directory, ...]
    files: tuple[File, ...]


def inventory(agents: Iterable[str], others: Iterable[File]) -> Inventory:
    """That with the directories that the settings name, and files beside the configuration."""
    return Inventory(
        (
            Directory(CONFIGURATION, is_agents=False),
            *(Directory(path, is_agents=True) for path in dict.fromkeys(agents)),
        ),
        (
            *(File(f"{CONFIGURATION}/{name}", sample.one_file(name).encode()) for name in FILES),
            *others,
        ),
    )


def sample_directories() -> dict[str, str]:
    """The directories that the sample configuration names, by setting."""
    return {
        setting.name: str(setting.example)
        for setting in SETTINGS
        if setting.is_written_to and setting.is_required
    }


def is_configuration(path: str) -> bool:
    """Whether a file is a person's to write, and to keep when the program goes."""
    return path.startswith(f"{CONFIGURATION}/")


# What is there: a look at the host, without changing it.


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


def inspect(root: Path, paths: Iterable[str]) -> dict[str, Found]:
    """Look at each path. Raises `SetupError` for one that cannot be read."""
    return {path: _inspect(below(root, path)) for path in paths}


def _inspect(path: Path) -> Found:
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
        setting.name: load.read_setting(setting, path, sections, problems).value
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


# What install has put onto the host: without it nobody could tell a person's file from ours.
#
# It lies in a directory of root's own: uninstall believes it, and removes what it names.

PATH: Final = "/var/lib/pattoo_mp-setup/installed.json"


@dataclass(slots=True)
class Record:
    """Digests (SHA-256) by path, directories and the user that install made.

    `offered` has the digest of what was put beside a person's file since.
    """

    files: dict[str, str] = field(default_factory=dict)
    offered: dict[str, str] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    user: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of ours is there."""
        return not (self.files or self.directories or self.user)

    def last_shipped(self, path: str) -> str:
        """The digest of what was shipped for `path` the last time; empty if nothing was."""
        return self.offered.get(path) or self.files.get(path, "")

    def text(self) -> str:
        """The content of the file that keeps it."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_record(path: Path) -> Record:
    """Read the record; an empty one if there is none. Raises `SetupError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Record(
            files={str(name): str(digest) for name, digest in content["files"].items()},
            offered={str(name): str(digest) for name, digest in content["offered"].items()},
            directories=[str(name) for name in content["directories"]],
            user=str(content["user"]),
        )
    except FileNotFoundError:
        return Record()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; expected what install has noted") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(
            f"{path}: is damaged; expected what install has noted. Remove it, and install "
            f"takes every file that differs for yours"
        ) from error
