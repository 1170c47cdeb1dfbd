"""Checks of settings that say where something is on a network: hosts, ports, URLs."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pattoo_mp.config.choices import UnfitError, texts
from pattoo_mp.config.urls import API, DIRECT, in_url, place

_HOST_NAME: Final = re.compile(
    r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?"
)
_MAX_HOST_NAME: Final = 253
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
_SCHEMES: Final = ("http", "https")

A_PROXY: Final = f"the URL of a proxy, such as http://proxy.example.org:3128, or {DIRECT}"
A_SERVER: Final = "the URL of a pattoo server, such as https://pattoo.example.org/prefix"


def host(value: object) -> str:
    """A host name, or an address as it is usually written. Raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    name = value.strip()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        # All digits and dots, but no address: a mistyped one, not a name.
        if len(name) > _MAX_HOST_NAME or re.fullmatch(r"[0-9.]*", name):
            raise
    if not _HOST_NAME.fullmatch(name):
        raise ValueError
    return name


def port(value: object) -> int:
    """A TCP port. Raises `ValueError`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError
    return value


def servers(value: object) -> tuple[str, ...]:
    """URLs of pattoo servers, without a slash at the end. Raises `UnfitError` or `ValueError`."""
    urls = tuple(_server(word) for word in texts(value))
    for number, one in enumerate(urls):
        if one in urls[:number]:
            raise UnfitError(one, "each server once")
    return urls


def proxy(value: object) -> str:
    """`DIRECT`, or a proxy's URL without a slash at the end. Raises `UnfitError` or `ValueError`."""
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    if value == DIRECT:
        return value
    parts = _parts(value, A_PROXY)
    if parts.path not in {"", "/"}:
        raise UnfitError(value, A_PROXY)
    return _origin(value, parts, A_PROXY)


def is_loopback(server: str) -> bool:
    """Whether a checked URL names this host itself, so that nothing leaves it."""
    name, _ = place(server)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _server(text: str) -> str:
    parts = _parts(text, A_SERVER)
    if not _PREFIX.fullmatch(parts.path):
        raise UnfitError(text, A_SERVER)
    if f"{parts.path}/".endswith(API) or API in parts.path:
        raise UnfitError(text, f"the part of the URL before {API}")
    return f"{_origin(text, parts, A_SERVER)}{parts.path.rstrip('/')}"


def _parts(text: str, expected: str) -> SplitResult:
    """The parts of a URL of which the host is still to be checked."""
    # urlsplit passes over line ends and tabs.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UnfitError(text, expected)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise UnfitError(text, expected) from error
    if "@" in parts.netloc:
        raise UnfitError(text, f"{expected}, with no user and password in it")
    if parts.scheme not in _SCHEMES or "?" in text or "#" in text:
        raise UnfitError(text, expected)
    return parts


def _origin(text: str, parts: SplitResult, expected: str) -> str:
    try:
        # In a URL the % before an interface is written as such (RFC 6874).
        name = host((parts.hostname or "").replace("%25", "%"))
        number = "" if parts.port is None else f":{port(parts.port)}"
    except ValueError as error:
        raise UnfitError(text, expected) from error
    return f"{parts.scheme}://{in_url(name)}{number}"
