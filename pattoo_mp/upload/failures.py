"""Why an exchange failed, in words: pure.

What a person has to see to is said with what to do; all else is the innermost cause, 'Connection
refused' rather than a library's whole tale of it.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import TrustError
from pattoo_mp.upload.answer import Answer, Outcome, one_line
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST: Final = 200
#: How http.client tells of an answer to CONNECT.
_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")

_UNKNOWN_CA: Final = (
    "the server's certificate is of a CA that is not trusted here ({}): name that CA's file in "
    "tls_ca_file"
)
_WRONG_HOST: Final = (
    "the server's certificate is for another name ({}): the URL has to name the server as its "
    "certificate does"
)
#: By the numbers of OpenSSL (X509_V_ERR_…, x509_vfy.h).
_CERTIFICATE: Final = {
    9: "the server's certificate is not valid yet: the clock here may be behind, or the server's "
    "certificate may be wrong",
    10: "the server's certificate has expired: it has to be renewed; or the clock here is ahead",
    18: _UNKNOWN_CA,
    19: _UNKNOWN_CA,
    20: _UNKNOWN_CA,
    21: _UNKNOWN_CA,
    62: _WRONG_HOST,
    64: _WRONG_HOST,
}

_TOO_OLD: Final = "the server speaks no TLS from 1.2 on: it has to"
_NO_TLS: Final = "what answers there does not speak TLS: perhaps it is http, or another port"
_OURS_REFUSED: Final = (
    "the server refuses our certificate ({}): see tls_certificate_file, and whom the server trusts"
)
#: By the reasons of OpenSSL (sslerr.h); the server's word for it where it is an alert.
_HANDSHAKE: Final = {
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "the server wants a certificate of us: name one in tls_certificate_file"
    ),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "the server ends the handshake: it may want a certificate of us (tls_certificate_file)"
    ),
    "TLSV1_ALERT_UNKNOWN_CA": _OURS_REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": _OURS_REFUSED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS_REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS_REFUSED,
}


def classify_error(error: Exception, *, is_quotable: bool = True) -> Outcome:
    """What an error makes of a post.

    Where a secret went out, no words of others are quoted: they may be our own.
    """
    chain = list(_chain(error))
    cause = chain[-1]
    denied = str(cause) if isinstance(cause, TrustError) else _denied(cause)
    if denied:
        return Outcome(denied, Fault.DENIED)
    refused = _TUNNEL.match(str(cause))
    if refused:
        return _no_tunnel(int(refused[1]))
    by_proxy = any(type(one).__name__ == "ProxyError" for one in chain)
    by, fault = ("the proxy: ", Fault.PROXY) if by_proxy else ("", _fault(cause))
    if isinstance(cause, OSError) and cause.strerror:
        return Outcome(by + one_line(cause.strerror), fault)
    said = f": {cause}" if is_quotable else ""
    return Outcome(by + one_line(f"{type(cause).__name__}{said}")[:_LONGEST], fault)


def _fault(cause: BaseException) -> Fault:
    """Of what kind it is that no answer came."""
    if isinstance(cause, socket.gaierror):
        return Fault.NO_NAME
    return Fault.LATE if isinstance(cause, TimeoutError) else Fault.UNREACHABLE


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was made of, down to the cause."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = None if isinstance(inner, TrustError) else _within(inner)


def _no_tunnel(status: int) -> Outcome:
    """What it means that a proxy does not connect us."""
    if status == 407:
        return Outcome(Answer(status, "", b"").describe("a tunnel"), Fault.DENIED)
    error = f"the proxy does not connect to the server (status {status})"
    if status == 403:
        return Outcome(f"{error}: see whom it lets through", Fault.DENIED)
    return Outcome(error, Fault.PROXY)


def _within(error: BaseException) -> BaseException | None:
    """What an error was made of, by one of the ways in which libraries say it."""
    context = None if error.__suppress_context__ else error.__context__
    told = (error.__cause__, context, getattr(error, "reason", None), *error.args)
    return next((one for one in told if isinstance(one, BaseException)), None)


def _denied(cause: BaseException) -> str:
    """What a person has to see to, where TLS failed for it; empty where not.

    Goes by names, so that OpenSSL need not be there.
    """
    verify_code, reason = getattr(cause, "verify_code", None), getattr(cause, "reason", None)
    if verify_code is not None:
        known = _CERTIFICATE.get(verify_code, "the server's certificate is refused ({})")
        said = str(getattr(cause, "verify_message", ""))
    elif hasattr(cause, "library"):
        known, said = _HANDSHAKE.get(str(reason), ""), str(reason)
    else:
        return ""
    return known.format(one_line(said).rstrip(".")[:_LONGEST])
