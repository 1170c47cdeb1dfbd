"""Who this agent is to the server. An identity once made is kept: it names all of its series."""

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
_LINE: Final = 1000
_EXPECTED: Final = "64 hexadecimal digits"


def origin(identity_file: Path, hostname: str | None = None) -> Origin:
    """Read the agent's identity, or make one on the first start. Raises `IdentityError`.

    `hostname` is the setting.
    """
    return Origin(_agent_id(identity_file), host_name(hostname))


def host_name(configured: str | None) -> str:
    """The name of the host that its series carry; a name server may be asked for it."""
    return configured or socket.getfqdn()


def _agent_id(path: Path) -> str:
    try:
        files.make_directory(path.parent)
        if not path.exists():
            # Of several processes that start at once the quickest one's counts.
            files.create_file(path, os.urandom(32).hex() + "\n")
    except OSError as error:
        raise _unusable(path, error) from error
    return known(path)


def known(path: Path) -> str:
    """The identity that is there already. Raises `IdentityError` if there is none, or no good one."""
    try:
        with os.fdopen(files.open_file(path, os.O_RDONLY), encoding="ascii") as file:
            line = file.readline(_LINE).strip()
    except UnicodeDecodeError as error:
        raise IdentityError(f"{path}: is not text; expected {_EXPECTED}") from error
    except OSError as error:
        raise _unusable(path, error) from error
    if not _AGENT_ID.fullmatch(line):
        raise IdentityError(
            f"{path}: the identity is {line[:80]!r}; expected {_EXPECTED}. Mend the file, or "
            f"remove it to begin as a new agent with new charts"
        )
    return line


def _unusable(path: Path, error: OSError) -> IdentityError:
    return IdentityError(
        f"{path}: cannot be used ({error.strerror}); expected a file with {_EXPECTED}"
    )
