"""Why an exchange failed, in one line. No I/O.

An error that the operator must fix comes with advice. Any other is its innermost cause, such as
'Connection refused', without the wrapping of the libraries.
"""

from __future__ import annotations

import re
import socket
from http.client import HTTPException
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import TrustError
from pattoo_mp.upload.answer import Answer, Outcome, one_line
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.host_lack import host_lack

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST: Final = 200
#: By error of http.client or urllib3.
_CUT_OFF: Final = {
    "IncompleteRead": "the connection ended in the middle of the answer",
    "InvalidChunkLength": "the answer is not valid HTTP, or the connection ended in the middle of it",
}
#: How http.client reports a refused CONNECT.
_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")

_UNKNOWN_CA: Final = (
    "the server's certificate is signed by a CA that is not trusted here ({}): name that CA's file in "
    "tls_ca_file"
)
_WRONG_HOST: Final = (
    "the server's certificate is for another name ({}): use a name from the certificate in the URL"
)
#: By verification error of OpenSSL (X509_V_ERR_…, x509_vfy.h).
_CERTIFICATE: Final = {
    9: "the server's certificate is not valid yet: this host's clock may be behind, or the certificate "
    "may be wrong",
    10: "the server's certificate has expired: it must be renewed; or this host's clock is ahead",
    18: _UNKNOWN_CA,
    19: _UNKNOWN_CA,
    20: _UNKNOWN_CA,
    21: _UNKNOWN_CA,
    62: _WRONG_HOST,
    64: _WRONG_HOST,
}

_TOO_OLD: Final = "the server supports no TLS from 1.2 on, which is required"
_NO_TLS: Final = (
    "the server does not speak TLS on this port: the URL may need http, or another port"
)
_OURS_REFUSED: Final = (
    "the server refuses our certificate ({}): see tls_certificate_file, and the CAs that the server "
    "trusts"
)
#: By reason of OpenSSL (sslerr.h). {} is replaced by the reason, which for an alert is the
#: server's.
_HANDSHAKE: Final = {
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "the server requires a client certificate: name one in tls_certificate_file"
    ),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "the server ended the handshake: it may require a client certificate (tls_certificate_file)"
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
    """Return the outcome of a post that ended with `error`.

    With `is_quotable` false, the request held a secret, which an error's text may repeat: do not
    quote it.
    """
    chain = list(_chain(error))
    cause = chain[-1]
    # A file for TLS that cannot be read, too, may be for want of a descriptor.
    lack = host_lack(cause.__cause__ or cause if isinstance(cause, TrustError) else cause)
    if lack:
        return Outcome(lack.error, lack.fault)
    denied = str(cause) if isinstance(cause, TrustError) else _denied(cause)
    if denied:
        return Outcome(denied, Fault.DENIED)
    no_tunnel = _TUNNEL.match(str(cause))
    if no_tunnel:
        return _no_tunnel(int(no_tunnel[1]))
    by_proxy = any(type(one).__name__ == "ProxyError" for one in chain)
    by, fault = ("the proxy: ", Fault.PROXY) if by_proxy else ("", _fault(cause))
    if isinstance(cause, OSError) and cause.strerror:
        return Outcome(by + one_line(cause.strerror), fault)
    cut_off = next(filter(None, (_CUT_OFF.get(type(one).__name__) for one in chain)), "")
    return Outcome(by + (cut_off or _described(cause, is_quotable=is_quotable)), fault)


def _described(cause: BaseException, *, is_quotable: bool) -> str:
    """Return what an error without a text of the system says."""
    name = type(cause).__name__
    if is_quotable:
        return one_line(f"{name}: {cause}")[:_LONGEST]
    # The type alone says little. It is our library's word, so it cannot repeat a secret.
    is_answer = isinstance(cause, HTTPException | ValueError) and not isinstance(cause, OSError)
    return f"the answer is not valid HTTP ({name})" if is_answer else name


def _fault(cause: BaseException) -> Fault:
    """Return the kind of a failure without an answer."""
    if isinstance(cause, socket.gaierror):
        return Fault.NO_NAME
    return Fault.LATE if isinstance(cause, TimeoutError) else Fault.UNREACHABLE


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it wraps, down to the innermost cause."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = None if isinstance(inner, TrustError) else _wrapped(inner)


def _no_tunnel(status: int) -> Outcome:
    """Return the outcome if a proxy does not connect to the server."""
    if status == 407:
        return Outcome(Answer(status, "", b"").describe("a tunnel"), Fault.DENIED)
    error = f"the proxy does not connect to the server (status {status})"
    if status == 403:
        return Outcome(f"{error}: check its access rules", Fault.DENIED)
    return Outcome(error, Fault.PROXY)


def _wrapped(error: BaseException) -> BaseException | None:
    """Return the error that `error` wraps, in any of the ways that libraries use."""
    context = None if error.__suppress_context__ else error.__context__
    candidates = (error.__cause__, context, getattr(error, "reason", None), *error.args)
    return next((one for one in candidates if isinstance(one, BaseException)), None)


def _denied(cause: BaseException) -> str:
    """Return what the operator must do about a failure of TLS; empty if it is not one.

    Uses the names of attributes, not types, so that `ssl` need not be imported.
    """
    verify_code, reason = getattr(cause, "verify_code", None), getattr(cause, "reason", None)
    if verify_code is not None:
        template = _CERTIFICATE.get(verify_code, "the server's certificate is not accepted ({})")
        detail = str(getattr(cause, "verify_message", ""))
    elif hasattr(cause, "library"):
        template, detail = _HANDSHAKE.get(str(reason), ""), str(reason)
    else:
        return ""
    return template.format(one_line(detail).rstrip(".")[:_LONGEST])
