"""What belongs onto a host: the directories and files of an installed agent. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.config import sample
from pattoo_mp.config.settings import FILES, SETTINGS
from pattoo_mp.paths import DEFAULT_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterable

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
