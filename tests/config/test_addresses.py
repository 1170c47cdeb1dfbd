"""Settings that say where something is on a network."""

from __future__ import annotations

import pytest

from pattoo_mp.config import validators
from pattoo_mp.config.validators import UnfitError


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://pattoo.example.org", "https://pattoo.example.org"),
        ("https://pattoo.example.org/", "https://pattoo.example.org"),
        ("HTTPS://Pattoo.Example.org:8443/a/b-c.d_e~f/", "https://pattoo.example.org:8443/a/b-c.d_e~f"),
        ("http://192.0.2.1:20201", "http://192.0.2.1:20201"),
        ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]:443/x"),
        ("http://[fe80::1%25eth0]:80", "http://[fe80::1%25eth0]:80"),
    ],
)  # fmt: skip
def test_a_url_of_a_server_is_taken(given: str, taken: str) -> None:
    """In plain HTTP or with TLS, with or without a port and a prefix."""
    assert validators.servers([given]) == (taken,)
    assert validators.servers([taken]) == (taken,)


@pytest.mark.parametrize(
    "given",
    ["", "pattoo.example.org", "//pattoo.example.org", "ftp://pattoo.example.org", "https://",
     "https:///x", "https://x:0", "https://x:65536", "https://x:y", "https://1.2.3", "https://[::1",
     "https://x/?a=b", "https://x/#a", "https://x?", "https://x#", "https://x/a//b", "https://x/%2f",
     "https://x/a b", " https://x", "https://x\n", "https://ü", "https://x/ü", "https://x/\x1b"],
)  # fmt: skip
def test_what_is_no_url_of_a_server_is_refused(given: str) -> None:
    """It is said what is expected."""
    with pytest.raises(UnfitError) as refused:
        validators.servers([given])
    assert refused.value.given == given
    assert refused.value.expected.startswith("the URL of a pattoo server, such as https://")


@pytest.mark.parametrize("path", ["pattoo/api/v1/agent", "x/pattoo/api/v1/agent/receive"])
def test_what_a_pattoo_server_adds_itself_is_refused(path: str) -> None:
    """It would stand there twice."""
    with pytest.raises(UnfitError, match="the part of the URL before /pattoo/api/v1/agent/"):
        validators.servers([f"https://x/{path}"])


@pytest.mark.parametrize("given", ["https://x", {"url": "https://x"}, None, 1])
def test_servers_are_a_list(given: object) -> None:
    """Of texts."""
    with pytest.raises(ValueError, match=r"^$"):
        validators.servers(given)
    with pytest.raises(UnfitError):
        validators.servers([given, 1])


def test_a_server_is_named_once() -> None:
    """However it is written."""
    with pytest.raises(UnfitError, match="each server once"):
        validators.servers(["https://x", "http://x", "HTTPS://X/"])


@pytest.mark.parametrize(
    ("given", "taken"),
    [("direct", "direct"), ("http://proxy.example.org:3128/", "http://proxy.example.org:3128"),
     ("https://[::1]:1", "https://[::1]:1")],
)  # fmt: skip
def test_a_proxy_is_a_url_or_a_word(given: str, taken: str) -> None:
    """Spoken to with or without TLS."""
    assert validators.proxy(given) == taken
    assert validators.proxy(taken) == taken


@pytest.mark.parametrize(
    "given",
    ["", "none", "Direct", "proxy:3128", "socks5://x:1", "http://user:s3cret@x:1", "http://x/path",
     "http://x:y", "http://", "http://x y", "http://x\n", 3128, None, ["http://x"]],
)  # fmt: skip
def test_what_is_no_proxy_is_refused(given: object) -> None:
    """A path, another protocol, or a password that settings would show."""
    with pytest.raises(ValueError):  # noqa: PT011 - one kind of error for every bad value
        validators.proxy(given)
