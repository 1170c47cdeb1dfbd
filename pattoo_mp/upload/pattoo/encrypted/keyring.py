"""The agent's own key, where the original agent keeps it: made once, and found again by its files.

`<daemon_directory>/keys/<agent>` holds gpg's directory `.keyring`, and a file
`<fingerprint>-<agent id>` with the pass phrase of that key (PattooShared 0.0.98, `KeyRing`).
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import KeyringError
from pattoo_mp.program import this_program
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.upload.pattoo.encrypted.gpg import Gpg

_LOG = logging.getLogger(__name__)

_FINGERPRINT: Final = re.compile(r"[0-9A-F]{40,64}")
_MAX_BYTES: Final = 1000


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key pair of the agent. `public` is in armor, `pass_phrase` opens the secret half."""

    fingerprint: str
    public: str = field(repr=False)
    pass_phrase: str = field(repr=False)


class Keyring:
    """The keys in `directory`. All methods raise `KeyringError`."""

    def __init__(self, directory: Path, agent_id: str, gpg: Gpg) -> None:
        self.directory = directory
        self.gpg = gpg
        self._agent_id = agent_id

    @contextmanager
    def open(self) -> Iterator[OwnKey]:
        """Run a gpg-agent for the code inside, which gets our key. Make the key if there is none."""
        self._make_directories()
        with self.gpg.agent():
            yield self._find(self.gpg.secret_keys()) or self._make()

    def _make_directories(self) -> None:
        try:
            for path in (self.directory, self.directory / ".keyring"):
                files.make_directory(path)
                path.chmod(0o700)
        except OSError as error:
            raise KeyringError(
                f"{error.filename}: {error.strerror}; expected a directory of the agent's own"
            ) from None

    def _find(self, secret: set[str]) -> OwnKey | None:
        """Return the key that a file names. None if no file does, or if the key itself is lost."""
        for path in sorted(self.directory.glob(f"*-{self._agent_id}")):
            fingerprint = path.name.partition("-")[0]
            if _FINGERPRINT.fullmatch(fingerprint) and fingerprint in secret:
                return OwnKey(fingerprint, self.gpg.public_key(fingerprint), _read(path))
            _LOG.warning("The key %s is no longer in the key ring; skipped.", fingerprint)
        return None

    def _make(self) -> OwnKey:
        pass_phrase = secrets.token_hex(32)
        comment = f"Key pair generated for {this_program().name}"
        fingerprint = self.gpg.make_key(this_program().name, comment, self._agent_id, pass_phrase)
        _write(self.directory / f"{fingerprint}-{self._agent_id}", pass_phrase)
        _LOG.info("Made a new key for this agent: %s.", fingerprint)
        return OwnKey(fingerprint, self.gpg.public_key(fingerprint), pass_phrase)


def _read(path: Path) -> str:
    try:
        with os.fdopen(files.open_file(path, os.O_RDONLY), encoding="latin-1") as file:
            return file.read(_MAX_BYTES).rstrip("\n")
    except OSError as error:
        raise KeyringError(
            f"{path.parent}: the pass phrase there cannot be read ({error.strerror})"
        ) from None


def _write(path: Path, text: str) -> None:
    try:
        files.replace_file(path, text)
    except OSError as error:
        raise KeyringError(f"{path.parent}: cannot be written to ({error.strerror})") from None
