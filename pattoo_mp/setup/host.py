"""The directories and files of an installed agent: which belong on a host, which are there.

- `inventory` lists what belongs on the host.
- `inspect` and the other functions look at the host without changing it.
- `Record` holds what install has put on the host.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pwd
import stat
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from pattoo_mp.config import layers, reading, sample
from pattoo_mp.config.settings import SHARED_FILE, program_files, program_settings
from pattoo_mp.errors import ConfigError, SetupError
from pattoo_mp.paths import DEFAULT_DIRECTORY
from pattoo_mp.setup import places

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


USER: Final = "pattoo"
CONFIGURATION: Final = DEFAULT_DIRECTORY


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory, owned by the agent's user and closed to others, or owned by root."""

    path: str
    is_agent_owned: bool

    @property
    def mode(self) -> int:
        """The permissions."""
        return 0o750 if self.is_agent_owned else 0o755


@dataclass(frozen=True, slots=True)
class File:
    """A shipped file, owned by root and readable by all, with the content as shipped."""

    path: str
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that belongs on the host. Paths are absolute, without the `--root`."""

    directories: tuple[Directory, ...]
    files: tuple[File, ...]


def inventory(agent_directories: Iterable[str], other_files: Iterable[File]) -> Inventory:
    """Return the configuration, the directories that the settings name, and the other files."""
    return Inventory(
        (
            Directory(CONFIGURATION, is_agent_owned=False),
            *(Directory(path, is_agent_owned=True) for path in dict.fromkeys(agent_directories)),
        ),
        (
            *(
                File(f"{CONFIGURATION}/{name}", sample.one_file(name).encode())
                for name in program_files()
            ),
            *other_files,
        ),
    )


def sample_directories() -> dict[str, str]:
    """The directories in the sample configuration, by setting."""
    return {
        setting.name: str(setting.example)
        for setting in program_settings()
        if setting.is_written_to and setting.is_required
    }


def is_configuration(path: str) -> bool:
    """Whether a file belongs to the configuration, which uninstall leaves in place."""
    return path.startswith(f"{CONFIGURATION}/")


# --- what is there; nothing is changed


class Kind(Enum):
    """What exists at a path."""

    NOTHING = "nothing"
    FILE = "a file"
    DIRECTORY = "a directory"


@dataclass(frozen=True, slots=True)
class Found:
    """What exists at a path, with the digest of a file or the owner of a directory."""

    kind: Kind
    digest: str = ""
    owner: str = ""


def below(root: Path, path: str) -> Path:
    """The path below `root` of the absolute `path`."""
    return root / path.lstrip("/")


def inspect(root: Path, paths: Iterable[str]) -> dict[str, Found]:
    """Return what exists at each path. Raises `SetupError` for one that cannot be read."""
    return {path: _inspect(below(root, path), root) for path in paths}


def _inspect(path: Path, root: Path) -> Found:
    """What is at `path`. What is behind a link that another user may have made is not looked at."""
    try:
        with places.opened(path, root) as directory:
            return Found(Kind.DIRECTORY, owner=_owner(directory))
    except OSError as error:
        if error.filename != str(path):  # on the way there
            return Found(Kind.NOTHING)
    try:
        with places.named(path, root) as file:
            return _inspect_file(file)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; expected a file or a directory") from error


def _inspect_file(path: Path) -> Found:
    if not os.path.lexists(path):
        return Found(Kind.NOTHING)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        return Found(Kind.FILE, hashlib.file_digest(file, "sha256").hexdigest())


def _owner(directory: int) -> str:
    number = os.fstat(directory).st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def has_user(name: str) -> bool:
    """Whether the host has this user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def agent_directories(root: Path) -> dict[str, str]:
    """The directories in the configuration, by setting; those of the sample if there is none yet.

    Raises `ConfigError` if the file cannot be read or such a setting is invalid.
    """
    path = below(root, CONFIGURATION) / SHARED_FILE
    if not path.exists() and not layers.directory_of(path).exists():
        return sample_directories()
    problems: list[str] = []
    read = layers.read_layers(path, problems)
    values = {
        setting.name: reading.read_setting(setting, read, problems).value
        for setting in program_settings()
        if setting.is_written_to and not problems
    }
    if problems:
        raise ConfigError(problems)
    return {name: str(value) for name, value in values.items() if value is not None}


def closed_parent(directory: Path) -> Path | None:
    """The topmost of `directory` and its parents that other users cannot enter, if there is one."""
    for parent in [*reversed(directory.parents), directory]:
        if not parent.stat().st_mode & 0o001:
            return parent
    return None


# --- the record of what install has put on the host

#: The record tells an administrator's file from a shipped one. It is in a directory of root, because
#: uninstall removes what it names.
#: Older installations have their record here: the directory keeps the name that the command had.
RECORD_PATH: Final = "/var/lib/pattoo_mp-setup/installed.json"


@dataclass(slots=True)
class Record:
    """The files (SHA-256 digests by path), directories and the user that install made.

    `boot` is what starts the agent at boot; empty for a record of an earlier release. `offered` has, by the path of a file that an administrator changed, the digest of the file that
    install put beside it.
    """

    files: dict[str, str] = field(default_factory=dict)
    offered: dict[str, str] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    user: str = ""
    boot: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether install has put nothing on the host."""
        return not (self.files or self.directories or self.user)

    def last_shipped(self, path: str) -> str:
        """The digest of the file last shipped for `path`; empty if there is none."""
        return self.offered.get(path) or self.files.get(path, "")

    def text(self) -> str:
        """The content of the record's file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_record(path: Path) -> Record:
    """Read the record; return an empty one if there is none. Raises `SetupError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Record(
            files={str(name): str(digest) for name, digest in content["files"].items()},
            offered={str(name): str(digest) for name, digest in content["offered"].items()},
            directories=[str(name) for name in content["directories"]],
            user=str(content["user"]),
            boot=str(content.get("boot", "")),
        )
    except FileNotFoundError:
        return Record()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; expected the record of install") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(
            f"{path}: is damaged; expected the record of install. If you remove it, install treats "
            f"every file that differs as yours"
        ) from error
