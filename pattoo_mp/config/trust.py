"""What vouches for a server to us, and for us to a server: the files, never what is in them."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: For each file its device, its number, and when it was changed; None where it is not there.
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """Files: the CAs that we trust, our certificate and its key, and what else names us, and to whom."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    credentials_file: Path | None = None
    proxy_credentials_file: Path | None = None

    def stamp(self) -> Stamp:
        """What is different once one of the files was replaced, or written to."""
        return tuple(_stamp(path) for path in astuple(self) if path is not None)


NO_FILES: Final = Trust()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns
