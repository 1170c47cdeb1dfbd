"""How to speak TLS, by the files that are configured for it.

OpenSSL is imported only where something of it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from pattoo_mp.config import secretfile
from pattoo_mp.errors import TrustError

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from pattoo_mp.config.trust import Trust

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
        _look(trust.certificate_file)
    try:
        secretfile.read(secret)
        context.load_cert_chain(trust.certificate_file, secret, _no_pass_phrase)
    except secretfile.NotSecretError as error:
        raise TrustError(name, secret, str(error), secretfile.EXPECTED) from error
    except _PassPhraseError as error:
        raise TrustError(name, secret, "has a pass phrase", expected) from error
    except OSError as error:
        raise TrustError(name, secret, _why(error), expected) from error


def _look(certificate_file: Path) -> None:
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
