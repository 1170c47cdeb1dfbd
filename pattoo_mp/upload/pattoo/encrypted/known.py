"""The known servers, as in ssh's known_hosts: a file with a line for each, its URL and fingerprint.

The first key of a server is trusted. A different one later is not: whoever holds it could read
everything encrypted to it, and only the operator can tell whether that is the server
(docs/decisions/025-encrypted-mode.md). So a line that cannot be parsed is an error: skipping it
would forget a server.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import KeyringError
from pattoo_mp.util import files

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "known_servers"

_FINGERPRINT: Final = re.compile(r"[0-9A-F]{40}([0-9A-F]{24})?")


class KnownServers:
    """The file at `path`. All methods raise `KeyringError`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> dict[str, str]:
        """Return the fingerprints of all known servers, by URL."""
        return dict(self._pair(line) for line in self._text().splitlines() if line.strip())

    def remember(self, url: str, fingerprint: str) -> None:
        """Add a server."""
        lines = [*self._text().splitlines(), f"{url} {fingerprint}"]
        try:
            files.replace_file(self.path, "".join(f"{line}\n" for line in lines))
        except OSError as error:
            raise self._unusable(error.strerror) from None

    def _text(self) -> str:
        try:
            with os.fdopen(files.open_file(self.path, os.O_RDONLY), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise self._unusable(error.strerror) from None
        except UnicodeDecodeError:
            raise self._unusable("is not text") from None

    def _pair(self, line: str) -> tuple[str, str]:
        url, _, written = line.strip().partition(" ")
        # gpg prints a fingerprint with spaces.
        fingerprint = "".join(written.split()).upper()
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise self._unusable(f"has a line {line[:80]!r}")
        return url, fingerprint

    def _unusable(self, why: str | None) -> KeyringError:
        return KeyringError(f"{self.path}: {why}; expected lines of a URL and a fingerprint")
