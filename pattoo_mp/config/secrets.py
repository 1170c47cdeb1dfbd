"""The TLS and credential files of the transport: reading and checking them.

- `credential_problems` checks all of them without contacting a server.
- `authorization` makes the HTTP header for a reverse proxy or an HTTP proxy.
- `tls_context` makes the TLS settings of a connection.

A file with a secret is refused if other users can access it, as ssh does with its keys: a secret
that others can read is no secret, and it is better to say so at once.
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


#: The largest file that is read. A certificate chain with its key takes about 10 kB.
MAX_BYTES: Final = 1 << 20

#: What a file with a secret should be.
PRIVATE_FILE: Final = "a file of the agent's user, with mode 0600 or 0400"

_GROUP_AND_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class NotSecretError(Exception):
    """The file must not hold a secret; the message says why, and follows the file's path."""


def read_secret(path: Path) -> bytes:
    """Return the content of a file that only its owner, the agent's user, can access.

    Links are followed. Raises `NotSecretError` for any other file, and `OSError`.
    """
    # O_NONBLOCK: opening a FIFO must not wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES)
    finally:
        os.close(descriptor)


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotSecretError("is not a regular file")
    if found.st_size > MAX_BYTES:
        raise NotSecretError(f"is larger than {MAX_BYTES} bytes")
    if found.st_mode & _GROUP_AND_OTHERS:
        raise NotSecretError(
            f"is accessible to other users than its owner (mode {stat.S_IMODE(found.st_mode):04o})"
        )
    # Root may check on behalf of the agent's user.
    if os.geteuid() and found.st_uid != os.geteuid():
        raise NotSecretError("belongs to another user")


# --- credentials for a reverse proxy or an HTTP proxy; they are never shown

#: A bearer token (RFC 6750, section 2.1). It has no colon, unlike a user with a password.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
#: The longest line in characters. Servers refuse headers of more than about 8 kB.
_MAX_LENGTH: Final = 4096


@dataclass(frozen=True, slots=True)
class CredentialKind:
    """One kind of credentials: the setting that names their file, and what the file may hold."""

    setting: str
    expected: str
    takes_tokens: bool


SERVER: Final = CredentialKind(
    "credentials_file", "one line: a bearer token, or user:password", takes_tokens=True
)
PROXY: Final = CredentialKind(
    "proxy_credentials_file", "one line: user:password", takes_tokens=False
)


def authorization(kind: CredentialKind, path: Path | None) -> str:
    """Return the value of the header made from a file; empty without a file.

    Raises `TrustError`.
    """
    if path is None:
        return ""
    try:
        header = _header(read_secret(path), takes_tokens=kind.takes_tokens)
    except NotSecretError as error:
        raise TrustError(kind.setting, path, str(error), PRIVATE_FILE) from error
    except OSError as error:
        wrong = f"cannot be read ({error.strerror})"
        raise TrustError(kind.setting, path, wrong, kind.expected) from error
    if not header:
        raise TrustError(kind.setting, path, "has invalid content", kind.expected)
    return header


def basic(user_and_password: str) -> str:
    """The header value for a user and a password (RFC 7617)."""
    return f"Basic {b64encode(user_and_password.encode()).decode()}"


def _header(content: bytes, *, takes_tokens: bool) -> str:
    """Return the header value made from a file's content; empty if the content is invalid."""
    line = content.decode("utf-8", "replace").rstrip("\r\n")
    if not line.isprintable() or "\N{REPLACEMENT CHARACTER}" in line or len(line) > _MAX_LENGTH:
        return ""
    if line.find(":") > 0:
        return basic(line)
    return f"Bearer {line}" if takes_tokens and _TOKEN.fullmatch(line) else ""


# --- tokens of those who ask an output of kind pull

_MAX_TOKENS: Final = 1000
_TOKENS: Final = (
    f"a token on each line, at most {_MAX_TOKENS}; lines that begin with # are comments"
)


def tokens(path: Path | None) -> tuple[str, ...]:
    """Return the tokens in a file; none without a file. Raises `TrustError`."""
    if path is None:
        return ()
    try:
        text = read_secret(path).decode("ascii", "replace")
    except NotSecretError as error:
        raise TrustError("tokens_file", path, str(error), PRIVATE_FILE) from error
    except OSError as error:
        raise TrustError(
            "tokens_file", path, f"cannot be read ({error.strerror})", _TOKENS
        ) from error
    lines = [line.strip() for line in text.split("\n")]
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found:
        raise TrustError("tokens_file", path, "has no token", _TOKENS)
    is_valid = all(_TOKEN.fullmatch(token) and len(token) <= _MAX_LENGTH for token in found)
    if not is_valid or len(found) > _MAX_TOKENS:
        raise TrustError("tokens_file", path, "has invalid content", _TOKENS)
    return found


# --- TLS; OpenSSL is imported only if it is used

_CA: Final = "CA certificates in PEM"
_CERTIFICATE: Final = "a certificate in PEM, with its key in the same file or in tls_key_file"
_KEY: Final = "the key of tls_certificate_file, in PEM, without a pass phrase"


def tls_problems(trust: Trust) -> list[TrustError]:
    """The errors of the TLS files, if any are configured. No server is contacted."""
    if trust.key_file and not trust.certificate_file:
        wrong = "has no certificate"
        expected = "tls_certificate_file to be set too"
        return [TrustError("tls_key_file", trust.key_file, wrong, expected)]
    if not trust.ca_file and not trust.certificate_file:
        return []
    found = []
    for load in (_load_ca, _load_certificate):
        try:
            load(_context(), trust)
        except TrustError as error:
            found.append(error)
    return found


def server_context(trust: Trust) -> ssl.SSLContext:
    """Return the TLS context of a server with the certificate of `trust`. Raises `TrustError`."""
    import ssl  # noqa: PLC0415 - as in `_context`

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_certificate(context, trust)
    return context


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Return the TLS context of connections. A server's certificate and its name are always checked.

    Raises `TrustError` if a file cannot be used.
    """
    context = _context()
    _load_ca(context, trust)
    _load_certificate(context, trust)
    return context


def _context() -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - about 3 MB that an agent with plain HTTP does not need

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Only subjectAltName counts as a certificate's names (RFC 9525), not the common name.
    context.hostname_checks_common_name = False
    return context


def _load_ca(context: ssl.SSLContext, trust: Trust) -> None:
    if trust.ca_file is None:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(trust.ca_file)
    except OSError as error:
        raise TrustError("tls_ca_file", trust.ca_file, _reason(error), _CA) from error


def _load_certificate(context: ssl.SSLContext, trust: Trust) -> None:
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
        raise TrustError(name, secret, str(error), PRIVATE_FILE) from error
    except _PassPhraseError as error:
        raise TrustError(name, secret, "has a pass phrase", expected) from error
    except OSError as error:
        raise TrustError(name, secret, _reason(error), expected) from error


def _check_certificate(certificate_file: Path) -> None:
    """Check the certificate alone: given both files, OpenSSL does not say which one is bad."""
    try:
        _context().load_verify_locations(certificate_file)
    except OSError as error:
        raise TrustError(
            "tls_certificate_file", certificate_file, _reason(error), _CERTIFICATE
        ) from error


class _PassPhraseError(Exception):
    """The key has a pass phrase."""


def _no_pass_phrase() -> NoReturn:
    """Refuse to give a pass phrase; without this, OpenSSL would ask for it on the terminal."""
    raise _PassPhraseError


def _reason(error: OSError) -> str:
    """Why OpenSSL, or the system, refuses a file."""
    if not hasattr(error, "library"):  # only OpenSSL's errors have it
        return f"cannot be read ({error.strerror})"
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return "is the key of another certificate"
    return "has invalid content"


# --- all files of the transport


def credential_problems(trust: Trust) -> list[TrustError]:
    """The errors of the configured files. No server is contacted."""
    found = tls_problems(trust)
    for kind, path in ((SERVER, trust.credentials_file), (PROXY, trust.proxy_credentials_file)):
        try:
            authorization(kind, path)
        except TrustError as error:
            found.append(error)
    try:
        tokens(trust.tokens_file)
    except TrustError as error:
        found.append(error)
    return found
