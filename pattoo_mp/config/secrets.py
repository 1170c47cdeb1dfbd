"""Reads a file that holds a secret, if it is one: a file that its reader alone can read.

As ssh does with its keys. A secret that others can read is one no longer, and it is better said at
once than found out later.
"""

from __future__ import annotations

import os
import re
import stat
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from pattoo_mp.errors import TrustError

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from pattoo_mp.config.values import Trust


#: A chain of certificates with its key is some 10 kB.
LARGEST_BYTES: Final = 1 << 20

EXPECTED: Final = "a file of the agent's user, with mode 0600 or 0400"

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class NotSecretError(Exception):
    """The file is no place for a secret; the message says why, to follow its path."""


def read_secret(path: Path) -> bytes:
    """The content of a file that is ours alone; links are followed.

    Raises `NotSecretError` where it is not, and `OSError`.
    """
    # What is not a regular file is not waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST_BYTES)
    finally:
        os.close(descriptor)


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotSecretError("is not a regular file")
    if found.st_size > LARGEST_BYTES:
        raise NotSecretError(f"is larger than {LARGEST_BYTES} bytes")
    if found.st_mode & _OTHERS:
        raise NotSecretError(
            f"may be used by others than its owner (mode {stat.S_IMODE(found.st_mode):04o})"
        )
    # Root may ask on behalf of the agent's user.
    if os.geteuid() and found.st_uid != os.geteuid():
        raise NotSecretError("is somebody else's")


# What names the agent to whoever stands before a server: read from a file, and never shown.

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
        header = _header(read_secret(path), takes_tokens=kind.takes_tokens)
    except NotSecretError as error:
        raise TrustError(kind.setting, path, str(error), EXPECTED) from error
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


# How to speak TLS, by the files that are configured for it.
#
# OpenSSL is imported only where something of it is used.

_CA: Final = "certificates of CAs, in PEM"
_CERTIFICATE: Final = "a certificate in PEM, with its key there or in tls_key_file"
_KEY: Final = "the key of tls_certificate_file, in PEM, without a pass phrase"


def tls_problems(trust: Trust) -> list[TrustError]:
    """What is wrong with the files, if any are named. Nothing is asked of a server."""
    if trust.key_file and not trust.certificate_file:
        wrong = "is the key of no certificate"
        return [TrustError("tls_key_file", trust.key_file, wrong, "tls_certificate_file beside it")]
    if not trust.ca_file and not trust.certificate_file:
        return []
    found = []
    for part in (_trusting, _showing):
        try:
            part(_context(), trust)
        except TrustError as error:
            found.append(error)
    return found


def tls_context(trust: Trust) -> ssl.SSLContext:
    """How to speak TLS. A server's certificate and its name are always checked.

    Raises `TrustError` if a file cannot be used.
    """
    context = _context()
    _trusting(context, trust)
    _showing(context, trust)
    return context


def _context() -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - some 3 MB that nobody needs who posts in plain HTTP

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _trusting(context: ssl.SSLContext, trust: Trust) -> None:
    if trust.ca_file is None:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(trust.ca_file)
    except OSError as error:
        raise TrustError("tls_ca_file", trust.ca_file, _why(error), _CA) from error


def _showing(context: ssl.SSLContext, trust: Trust) -> None:
    if trust.certificate_file is None:
        return
    if trust.key_file is None:
        name, secret, expected = "tls_certificate_file", trust.certificate_file, _CERTIFICATE
    else:
        name, secret, expected = "tls_key_file", trust.key_file, _KEY
        _check_certificate(trust.certificate_file)
    try:
        read_secret(secret)
        context.load_cert_chain(trust.certificate_file, secret, _no_pass_phrase)
    except NotSecretError as error:
        raise TrustError(name, secret, str(error), EXPECTED) from error
    except _PassPhraseError as error:
        raise TrustError(name, secret, "has a pass phrase", expected) from error
    except OSError as error:
        raise TrustError(name, secret, _why(error), expected) from error


def _check_certificate(certificate_file: Path) -> None:
    """See that a certificate is in there: of both files together OpenSSL does not say which is bad."""
    try:
        _context().load_verify_locations(certificate_file)
    except OSError as error:
        raise TrustError(
            "tls_certificate_file", certificate_file, _why(error), _CERTIFICATE
        ) from error


class _PassPhraseError(Exception):
    """OpenSSL would ask a terminal for one."""


def _no_pass_phrase() -> NoReturn:
    raise _PassPhraseError


def _why(error: OSError) -> str:
    """Why OpenSSL, or the system, refuses a file."""
    if not hasattr(error, "library"):  # not OpenSSL's
        return f"cannot be read ({error.strerror})"
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return "is the key of another certificate"
    return "does not hold that"


# What is wrong with the files that vouch for a server, and for us.


def credential_problems(trust: Trust) -> list[TrustError]:
    """What is wrong with the files that are named. Nothing is asked of a server."""
    found = tls_problems(trust)
    for kind, path in ((SERVER, trust.credentials_file), (PROXY, trust.proxy_credentials_file)):
        try:
            authorization(kind, path)
        except TrustError as error:
            found.append(error)
    return found
