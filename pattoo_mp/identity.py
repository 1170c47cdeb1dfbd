"""The agent's identity and host name on the server. Once known, both are kept.

They are part of every series: another name begins new charts. The host's name may come from a name
server, which may be mute at a start, or give another name. So a name that was found is kept in a
file beside the identity, and no later start asks for it. If the host is called by another name now,
that is logged; the operator decides.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Final

from pattoo_mp.config import isolated
from pattoo_mp.errors import IdentityError, where_and_why
from pattoo_mp.model import Origin
from pattoo_mp.util import files

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger(__name__)

#: How long the first start waits for the host's name (s).
LOOK_UP_S: Final = 3.0
#: The longest name of a host; see hostname(7).
_NAME_CHARACTERS: Final = 253
_AGENT_ID: Final = re.compile(r"[0-9a-f]{64}")
_LINE_BYTES: Final = 1000
_EXPECTED: Final = "64 hexadecimal digits"


def origin(identity_file: Path, hostname: str | None = None) -> Origin:
    """Return the agent's origin; create its identity on the first start. Raises `IdentityError`.

    `hostname` is the setting. Without it the name is the kept one, or else the one that the host's
    name service gives within `LOOK_UP_S`.
    """
    agent_id = _agent_id(identity_file)
    return Origin(agent_id, hostname or kept_name(identity_file) or _first_name())


def host_name(configured: str | None) -> str:
    """Return the host name for the series; without a configured name this may query a name server."""
    return configured or socket.getfqdn()


def name_file(identity_file: Path) -> Path:
    """Return the path of the file with the kept name."""
    return identity_file.with_suffix(".hostname")


def kept_name(identity_file: Path) -> str | None:
    """Return the kept name of the host; None if there is none, or if it cannot be read."""
    path = name_file(identity_file)
    try:
        name = _first_line(path, "utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = where_and_why(error) if isinstance(error, OSError) else f"{path}: not a text file"
        _LOG.warning("%s; the host's name is looked up instead.", why)
        return None
    if not _is_name(name):
        _LOG.warning("%s: holds no host name; the host's name is looked up instead.", path)
        return None
    return name


def keep_name(identity_file: Path, name: str) -> None:
    """Keep the host's name for later starts, unless one is kept. Without room, log that."""
    try:
        files.create_file(name_file(identity_file), f"{name}\n")
    except OSError as error:
        _LOG.warning("%s; the next start looks up the host's name again.", where_and_why(error))


def watch_name(identity_file: Path, name: str) -> None:
    """Log if the host is called by another name than `name` now. Returns at once."""
    Thread(target=_compare, args=(identity_file, name), name="host name", daemon=True).start()


def differs(now: str, name: str) -> bool:
    """Whether the host's name `now` shows that it was renamed.

    A name without a domain only shows that no name server has answered.
    """
    return now != name and name.partition(".")[0] != now


def _compare(identity_file: Path, name: str) -> None:
    with suppress(OSError):
        now = socket.getfqdn()
        if differs(now, name):
            _LOG.warning(
                "This host is called %.253s now. Its polls keep the name %s, since another name begins "
                "new charts. To change it, set hostname, or remove %s and restart.",
                now,
                name,
                name_file(identity_file),
            )


def _first_name() -> str:
    name = isolated.answer_of(socket.getfqdn, LOOK_UP_S)
    if name is not None and _is_name(name):
        return name
    name = socket.gethostname()
    _LOG.warning(
        "No name server has answered within %g s: polls carry the host's short name, %s. If it should "
        "be another one, set hostname.",
        LOOK_UP_S,
        name,
    )
    return name


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _NAME_CHARACTERS and name.isprintable() and " " not in name


def _agent_id(path: Path) -> str:
    try:
        files.make_directory(path.parent)
        if not path.exists():
            # If several processes start at once, the first one wins.
            files.create_file(path, os.urandom(32).hex() + "\n")
    except OSError as error:
        raise _unusable(
            path, error, "a directory that the agent can write to, with room"
        ) from error
    return read_agent_id(path)


def read_agent_id(path: Path) -> str:
    """Return the existing identity. Raises `IdentityError` if it is missing or invalid."""
    try:
        line = _first_line(path, "ascii")
    except UnicodeDecodeError as error:
        raise IdentityError(f"{path}: not a text file; expected {_EXPECTED}") from error
    except OSError as error:
        raise _unusable(path, error, f"a file with {_EXPECTED}") from error
    if not _AGENT_ID.fullmatch(line):
        raise IdentityError(
            f"{path}: the identity is {line[:80]!r}; expected {_EXPECTED}. Correct the file, or "
            f"remove it to start as a new agent with new charts"
        )
    return line


def _first_line(path: Path, encoding: str) -> str:
    """Return a file's first line. Raises `OSError`, `UnicodeDecodeError`."""
    return files.read_file(path, _LINE_BYTES).partition(b"\n")[0].decode(encoding).strip()


def _unusable(path: Path, error: OSError, expected: str) -> IdentityError:
    return IdentityError(
        f"{path}: cannot be used ({files.reason(error, path)}); expected {expected}"
    )
