"""Settings that are good each for itself, and not together."""

from __future__ import annotations

from pathlib import Path

import pytest

from pattoo_mp.config.consistency import contradictory_settings
from tests.support.configs import config_in

FILE = Path("/etc/pattoo/credentials")


def told(**settings: object) -> list[str]:
    """What is said of a configuration with these."""
    return [
        str(problem) for problem in contradictory_settings(config_in(Path("/nowhere"), **settings))
    ]


@pytest.mark.parametrize(
    "servers",
    [("https://x",), ("https://x", "https://y"), ("http://127.0.0.1:1",), ("http://[::1]",),
     ("http://localhost:20201", "https://x"), ()],
)  # fmt: skip
def test_credentials_go_out_with_tls_or_stay_on_this_host(servers: tuple[str, ...]) -> None:
    """Where a tunnel may begin."""
    assert told(servers=servers, credentials_file=FILE) == []


@pytest.mark.parametrize(
    ("settings", "server"),
    [({"servers": ("https://x", "http://y:80/z")}, "http://y:80/z"),
     ({"ip_address": "192.0.2.1", "ip_bind_port": 20201}, "http://192.0.2.1:20201"),
     ({"servers": ("http://localhost.example.org",)}, "http://localhost.example.org")],
)  # fmt: skip
def test_credentials_never_go_out_in_the_clear(settings: dict[str, object], server: str) -> None:
    """To no server of the list, and not to the one that the shared file names."""
    assert told(**settings, credentials_file=FILE) == [
        f"credentials_file: {FILE} would go in the clear to {server}; expected servers with https"
    ]
    assert told(**settings) == []


@pytest.mark.parametrize("proxy", [None, "direct"])
def test_credentials_for_a_proxy_take_one(proxy: str | None) -> None:
    """That of the environment has its own in its URL."""
    assert told(proxy=proxy, proxy_credentials_file=FILE) == [
        f"proxy_credentials_file: {FILE} is for no proxy; expected the URL of one in proxy"
    ]
    assert told(proxy="http://x:3128", proxy_credentials_file=FILE) == []
