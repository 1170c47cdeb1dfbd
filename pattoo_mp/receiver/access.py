"""Who may post and ask. On loopback alone, everybody on this host; with a token, who knows it.

The token is sent as `Authorization: Bearer …` (agents: `credentials_file`), or as the password of
`Basic …`. A browser sends it once, by the form at `/login`, and then a cookie, which is made from the token: a
new token ends all logins. Comparisons take the same time for any wrong token, and tries are limited.

Without a token, what a browser asks for must name this host, so that no other site can lead a browser here.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import logging
import re
import secrets
import time
from base64 import b64decode
from collections import OrderedDict
from ipaddress import ip_address
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from pattoo_mp.errors import StartError
from pattoo_mp.receiver.decode import PREFIX, Refused, shown
from pattoo_mp.util.files import create_file, read_file, reason

if TYPE_CHECKING:
    from pathlib import Path

_log: Final = logging.getLogger(__name__)

COOKIE: Final = "pattoo_mp_receiver"
_LOGIN_DAYS: Final = 30
_DAY_S: Final = 86_400
UNKNOWN: Final = 401
FORBIDDEN: Final = 403
TOO_MANY: Final = 429
SEE_OTHER: Final = 303

#: A token has so many characters of RFC 6750. The ones that `make_token` makes have 43.
_TOKEN: Final = re.compile(r"[-A-Za-z0-9._~+/]{20,200}=*")
_TOKEN_BYTES: Final = 32
_FILE_BYTES: Final = 1_000
#: Wrong tries of one address in so many seconds. An agent with a wrong token tries seldom, but many may come
#: through one proxy.
_WITHIN_S: Final = 60
_LOGINS: Final = 5
_HEADERS: Final = 100
#: Addresses whose tries are remembered.
_ADDRESSES: Final = 1_000

_FORM: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>pattoo_mp receiver</title>
</head>
<body>
<main>
<h1>pattoo_mp receiver</h1>
<p>{said}</p>
<form method="post" action="/login">
<label>Token <input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button>Log in</button>
</form>
</main>
</body>
</html>
"""
_ASKED: Final = "The token is in the file that the receiver was started with (--token-file)."
_POLICY: Final = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def read_token(path: Path) -> str:
    """Return the token in a private file of one line. Raises `StartError`."""
    try:
        content = read_file(path, _FILE_BYTES)
        mode = path.stat().st_mode
    except OSError as error:
        raise StartError(f"--token-file {path}: {reason(error, path)}") from error
    if mode & 0o077:
        raise StartError(f"--token-file {path}: others may read it; expected mode 0600")
    token = content.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(token):
        raise StartError(
            f"--token-file {path}: expected one line of 20 to 200 letters, digits and -._~+/; "
            "--make-token makes a file"
        )
    return token


def make_token(path: Path) -> None:
    """Write a new token to a new private file. Raises `StartError`."""
    try:
        if not create_file(path, f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n"):
            raise StartError(f"--make-token {path}: exists already; expected a new file")
    except OSError as error:
        raise StartError(f"--make-token {path}: {reason(error, path)}") from error


class Tries:
    """Wrong tries of each address, within a minute. Its methods may be called from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = Lock()

    def require_few(self, address: str) -> None:
        """Raise `Refused` if the address has tried too often."""
        now = time.monotonic()
        with self._lock:
            if len(_recent(self._wrong.get(address, []), now)) >= self._most:
                raise Refused(
                    "too many wrong tokens from this address; try again in a minute", TOO_MANY
                )

    def add(self, address: str) -> None:
        """Remember a wrong try."""
        now = time.monotonic()
        with self._lock:
            self._wrong[address] = [*_recent(self._wrong.pop(address, []), now), now]
            while len(self._wrong) > _ADDRESSES:
                self._wrong.popitem(last=False)
        _log.warning("a wrong token from %s", shown(address))


def _recent(times: list[float], now: float) -> list[float]:
    return [each for each in times if now - each < _WITHIN_S]


class Access:
    """Lets a request pass, or not. Without a `token`, whoever reaches the receiver may use it."""

    def __init__(self, token: str | None, host: str) -> None:
        self._token = token
        self._hosts = {"localhost", host.lower()}
        self._logins = Tries(_LOGINS)
        self._headers = Tries(_HEADERS)

    def check(self) -> Response | None:
        """Answer a request that may not pass; None: it may. Raises `Refused`, too."""
        if self._token is None:
            if not request.path.startswith(f"{PREFIX}/"):
                self._require_own_host()
            return None
        if request.path == "/login" or self._knows_token() or self._is_logged_in():
            return None
        if request.path == "/":
            return Response(status=SEE_OTHER, headers={"Location": "/login"})
        raise Refused("expected the receiver's token, or a login at /login", UNKNOWN)

    def _require_own_host(self) -> None:
        try:
            name = urlsplit(f"//{request.host}").hostname or ""
        except ValueError:  # no name at all; Werkzeug before 2.3 lets it pass
            name = ""
        if name not in self._hosts and not is_loopback(name):
            raise Refused(
                f"the request is for the host {shown(name)}, and this receiver answers for localhost;"
                " for another name, start it with --token-file",
                FORBIDDEN,
            )

    def _knows_token(self) -> bool:
        header = request.headers.get("Authorization")
        if header is None:
            return False
        address = request.remote_addr or ""
        self._headers.require_few(address)
        if self._is_token(_sent_token(header)):
            return True
        self._headers.add(address)
        return False

    def _is_token(self, sent: str) -> bool:
        return hmac.compare_digest(sent.encode(), (self._token or "").encode())

    def _is_logged_in(self) -> bool:
        until, _, seal = request.cookies.get(COOKIE, "").partition(".")
        if not re.fullmatch(r"[0-9]{1,12}", until) or int(until) < time.time():
            return False
        return hmac.compare_digest(seal.encode(), self._seal(until).encode())

    def _seal(self, until: str) -> str:
        key = (self._token or "").encode()
        return hmac.new(key, f"login until {until}".encode(), hashlib.sha256).hexdigest()

    def blueprint(self) -> Blueprint:
        """The login, and the end of one."""
        pages = Blueprint("access", __name__)
        pages.add_url_rule("/login", "login", self._form, methods=["GET"])
        pages.add_url_rule("/login", "log_in", self._log_in, methods=["POST"])
        pages.add_url_rule("/logout", "log_out", self._log_out, methods=["POST"])
        return pages

    def _form(self) -> Response:
        return _page(_ASKED, 200)

    def _log_in(self) -> Response:
        address = request.remote_addr or ""
        self._logins.require_few(address)
        if self._token is None or not self._is_token(request.form.get("token", "").strip()):
            self._logins.add(address)
            return _page(f"This is not the token. {_ASKED}", UNKNOWN)
        until = str(int(time.time()) + _LOGIN_DAYS * _DAY_S)
        answer = Response(status=SEE_OTHER, headers={"Location": "/"})
        answer.set_cookie(
            COOKIE,
            f"{until}.{self._seal(until)}",
            max_age=_LOGIN_DAYS * _DAY_S,
            # Whether there is a proxy with TLS in front is known from what it says (`bounded`).
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return answer

    def _log_out(self) -> Response:
        answer = Response(status=SEE_OTHER, headers={"Location": "/login"})
        answer.delete_cookie(COOKIE)
        return answer


def is_loopback(host: str) -> bool:
    """Whether an address, as text, is of this host only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _sent_token(header: str) -> str:
    """The token in a header: a bearer token, or the password of a user of any name."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _page(said: str, status: int) -> Response:
    answer = Response(_FORM.format(said=said), status, mimetype="text/html")
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Cache-Control"] = "no-store"
    return answer
