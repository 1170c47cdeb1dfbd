"""Key rings of an agent and a server, made once for all tests. The agent's own code makes its ring."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pattoo_mp.upload.pattoo.encrypted.gpg import Gpg
from pattoo_mp.upload.pattoo.encrypted.keyring import Keyring
from tests.support.decrypting import make_key

if TYPE_CHECKING:
    from pathlib import Path

AGENT_ID = "5a" * 32


class Keyrings:
    """Makes both rings below `home`, and copies them, because making a key takes a second or more."""

    def __init__(self, home: Path) -> None:
        self._agents, self._servers = home / "agent", home / "server"
        make_key(self._servers)
        with keyring_in(self._agents).open() as own:
            self.fingerprint = own.fingerprint

    def of_agent(self, directory: Path) -> Keyring:
        """Return a copy of the agent's key ring in `directory`."""
        shutil.copytree(self._agents, directory)
        return keyring_in(directory)

    def of_server(self, home: Path) -> Path:
        """Copy the server's key ring to `home`."""
        shutil.copytree(self._servers, home)
        return home


def keyring_in(directory: Path, agent_id: str = AGENT_ID) -> Keyring:
    """Return the key ring in `directory`, which may not exist yet."""
    return Keyring(directory, agent_id, Gpg(directory / ".keyring"))
