"""The agent's identity on the server. Once created it is kept: it is part of every series."""

from __future__ import annotations

import os
import re
import socket
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import IdentityError
from pattoo_mp.model import Origin
from pattoo_mp.util import files

if TYPE_CHECKING:
    from pathlib import Path

_AGENT_ID: Final = re.compile(r"[0-9a-f]{64}")
_LINE_CHARACTERS: Final = 1000
_EXPECTED: Final = "64 hexadecimal digits"


def origin(identity_file: Path, hostname: str | None = None) -> Origin:
    """Return the agent's origin; create its identity on the first start. Raises `IdentityError`.

    `hostname` is the setting.
    """
    return Origin(_agent_id(identity_file), host_name(hostname))


def host_name(configured: str | None) -> str:
    """Return the host name for the series; without a configured name this may query a name server."""
    return configured or socket.getfqdn()


def _agent_id(path: Path) -> str:
    try:
        files.make_directory(path.parent)
        if not path.exists():
            # If several processes start at once, the first one wins.
            files.create_file(path, os.urandom(32).hex() + "\n")
    except OSError as error:
        raise _unusable(path, error) from error
    return read_agent_id(path)


def read_agent_id(path: Path) -> str:
    """Return the existing identity. Raises `IdentityError` if it is missing or invalid."""
    try:
        with os.fdopen(files.open_file(path, os.O_RDONLY), encoding="ascii") as file:
            line = file.readline(_LINE_CHARACTERS).strip()
    except UnicodeDecodeError as error:
        raise IdentityError(f"{path}: not a text file; expected {_EXPECTED}") from error
    except OSError as error:
        raise _unusable(path, error) from error
    if not _AGENT_ID.fullmatch(line):
        raise IdentityError(
            f"{path}: the identity is {line[:80]!r}; expected {_EXPECTED}. Correct the file, or "
            f"remove it to start as a new agent with new charts"
        )
    return line


def _unusable(path: Path, error: OSError) -> IdentityError:
    return IdentityError(
        f"{path}: cannot be used ({files.reason(error, path)}); expected a file with {_EXPECTED}"
    )
