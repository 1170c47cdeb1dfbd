"""What names the agent to whoever stands before a server: read from a file, and never shown."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.config import secretfile
from pattoo_mp.errors import TrustError

if TYPE_CHECKING:
    from pathlib import Path

#: A bearer token (RFC 6750, section 2.1). It has no colon, so it is never a user with a password.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
#: Servers take no header above some 8 kB.
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Kind:
    """For whom credentials are: the setting that names their file, and what may be in it."""

    setting: str
    expected: str
    takes_tokens: bool


SERVER: Final = Kind("credentials_file", "one line: a bearer token, or user:password", True)
PROXY: Final = Kind("proxy_credentials_file", "one line: user:password", False)


def authorization(kind: Kind, path: Path | None) -> str:
    """The header that the file's content makes; empty if no file is named. Raises `TrustError`."""
    if path is None:
        return ""
    try:
        header = _header(secretfile.read(path), takes_tokens=kind.takes_tokens)
    except secretfile.NotSecretError as error:
        raise TrustError(kind.setting, path, str(error), secretfile.EXPECTED) from error
    except OSError as error:
        wrong = f"cannot be read ({error.strerror})"
        raise TrustError(kind.setting, path, wrong, kind.expected) from error
    if not header:
        raise TrustError(kind.setting, path, "does not hold that", kind.expected)
    return header


def basic(user_and_password: str) -> str:
    """The header of a user with a password (RFC 7617)."""
    return f"Basic {b64encode(user_and_password.encode()).decode()}"


def _header(content: bytes, *, takes_tokens: bool) -> str:
    """Empty if the content is not of the expected kind."""
    line = content.decode("utf-8", "replace").rstrip("\r\n")
    if not line.isprintable() or "\N{REPLACEMENT CHARACTER}" in line or len(line) > _LONGEST:
        return ""
    if line.find(":") > 0:
        return basic(line)
    return f"Bearer {line}" if takes_tokens and _TOKEN.fullmatch(line) else ""
