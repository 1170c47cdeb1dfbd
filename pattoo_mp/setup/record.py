"""What install has put onto the host: without it nobody could tell a person's file from ours.

It lies in a directory of root's own: uninstall believes it, and removes what it names.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

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


def read(path: Path) -> Record:
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
