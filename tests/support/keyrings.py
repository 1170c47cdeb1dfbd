"""Key rings made once for all tests: an agent's, by the agent's own code, and a server's."""

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
    """Makes both below `home`, and copies them: to make a key takes a second or more."""

    def __init__(self, home: Path) -> None:
        self._agents, self._servers = home / "agent", home / "server"
        make_key(self._servers)
        with keyring_in(self._agents).open() as own:
            self.fingerprint = own.fingerprint

    def of_agent(self, directory: Path) -> Keyring:
        """The agent's keys, in `directory`."""
        shutil.copytree(self._agents, directory)
        return keyring_in(directory)

    def of_server(self, home: Path) -> Path:
        """The server's key ring, in `home`."""
        shutil.copytree(self._servers, home)
        return home


def keyring_in(directory: Path, agent_id: str = AGENT_ID) -> Keyring:
    """The keys that are there, or will be made."""
    return Keyring(directory, agent_id, Gpg(directory / ".keyring"))
