"""Each setting of the uploader, unlike its default: at a start and at a reload."""

from __future__ import annotations

import os
import signal
from base64 import b64encode
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.config import host_checks
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import Poll
from tests.spool.polls import LAYOUT, LAYOUTS
from tests.support.configs import config_in
from tests.support.ports import hold_port, number_of
from tests.support.proxy import ForwardProxy
from tests.support.server import PattooServer
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.tls import Authority
from tests.support.waiting import wait_for
from tests.upload.test_uploader import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.server import Handler

TOKEN = "a-token-of-this-test"
PROXY_LOGIN = "agent:secret"


class World:
    """What an uploader may talk to: two servers, one with TLS, a proxy, and a port without a server."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.headers: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.authority = Authority(home)
        self.server, self.elsewhere = PattooServer(), PattooServer()
        self.secure = PattooServer(self.authority.server())
        self.wanting = PattooServer(self.authority.wanting())
        self.proxy = ForwardProxy()
        self.closed_port = hold_port()
        for server in self.servers:
            server.behaviour = self._note_post
            server.status_page = self._note_page

    @property
    def servers(self) -> list[PattooServer]:
        """All servers."""
        return [self.server, self.elsewhere, self.secure, self.wanting]

    def url(self, server: PattooServer) -> str:
        """The URL of a server."""
        scheme = "http" if server.context is None else "https"
        return f"{scheme}://127.0.0.1:{server.port}"

    @property
    def proxy_url(self) -> str:
        """The URL of the proxy."""
        return f"http://127.0.0.1:{self.proxy.port}"

    @property
    def closed_url(self) -> str:
        """A URL at which nothing listens."""
        return f"http://127.0.0.1:{number_of(self.closed_port)}"

    def secret(self, content: str) -> Path:
        """A file with a secret, as the agent requires it."""
        path = self.home / "secret"
        path.touch(mode=0o600)
        path.write_text(f"{content}\n")
        return path

    def certificate(self, *, with_key: bool) -> tuple[Path, Path]:
        """The files of a client certificate and its key; both are in the first one `with_key`."""
        certificate, key = self.authority.client()
        if with_key:
            certificate.chmod(0o600)
            certificate.write_text(certificate.read_text() + key.read_text())
        return certificate, key

    def _note_post(self, handler: Handler) -> bool:
        self.headers.append(dict(handler.headers))
        self.asked.append(handler.path)
        return True

    def _note_page(self, handler: Handler) -> bool:
        self.asked.append(handler.path)
        return True

    def close(self) -> None:
        """Stop all."""
        for server in self.servers:
            server.close()
        self.proxy.close()
        self.closed_port.close()


@dataclass(frozen=True)
class Case:
    """A setting with another value.

    `before` are settings with which its effect cannot be seen yet, `after` those with it. `seen` is
    whether its effect can be seen.
    """

    after: Callable[[World], dict[str, Any]]
    seen: Callable[[World, Process], bool]
    before: Callable[[World], dict[str, Any]] = field(default=lambda _: {})


def _both_certificate_files(world: World) -> dict[str, Any]:
    certificate, key = world.certificate(with_key=False)
    return {"tls_certificate_file": certificate, "tls_key_file": key}


def _to_wanting(world: World) -> dict[str, Any]:
    return {"servers": (world.url(world.wanting),), "tls_ca_file": world.authority.file}


def _dropped(process: Process) -> dict[str, int]:
    return process.accounts[-1]["outputs"][OUTPUT]["dropped"] if process.accounts else {}


#: Each is about the server at the usual address, except where `before` says otherwise.
CASES = {
    "ip_address": Case(
        lambda _: {"ip_address": "localhost"},
        lambda _, process: any("//localhost:" in state.server for state in process.states),
    ),
    "ip_bind_port": Case(
        lambda world: {"ip_bind_port": world.elsewhere.port},
        lambda world, _: bool(world.elsewhere.posts),
    ),
    "servers": Case(
        lambda world: {"servers": (world.url(world.elsewhere),)},
        lambda world, _: bool(world.elsewhere.posts),
    ),
    "failover_after": Case(
        lambda _: {"failover_after": 1.0},
        lambda world, _: bool(world.elsewhere.posts),
        lambda world: {"servers": (world.closed_url, world.url(world.elsewhere))},
    ),
    "tls_ca_file": Case(
        lambda world: {"tls_ca_file": world.authority.file},
        lambda world, _: bool(world.secure.posts),
        lambda world: {"servers": (world.url(world.secure),)},
    ),
    "tls_certificate_file": Case(
        lambda world: {"tls_certificate_file": world.certificate(with_key=True)[0]},
        lambda world, _: bool(world.wanting.posts),
        _to_wanting,
    ),
    "tls_key_file": Case(
        _both_certificate_files,
        lambda world, _: bool(world.wanting.posts),
        _to_wanting,
    ),
    "credentials_file": Case(
        lambda world: {"credentials_file": world.secret(TOKEN)},
        lambda world, _: f"Bearer {TOKEN}" in [h.get("Authorization") for h in world.headers],
    ),
    "proxy": Case(
        lambda world: {"proxy": world.proxy_url},
        lambda world, _: bool(world.proxy.lines),
    ),
    "proxy_credentials_file": Case(
        lambda world: {"proxy_credentials_file": world.secret(PROXY_LOGIN)},
        lambda world, _: (
            f"Basic {b64encode(PROXY_LOGIN.encode()).decode()}"
            in [head.get("Proxy-Authorization") for head in world.proxy.heads]
        ),
        lambda world: {"proxy": world.proxy_url},
    ),
    "encrypted": Case(
        lambda _: {"encrypted": True},
        lambda world, _: any(path.endswith("/key") for path in world.asked),
    ),
    "post_jitter": Case(
        # The first post goes at once, a later one would go after a part of an hour.
        lambda _: {"post_jitter": 0.0},
        lambda world, _: len(world.server.posts) > 1,
        lambda _: {"interval_ms": 3_600_000, "post_jitter": 3600.0},
    ),
    "spool_max_bytes": Case(
        lambda _: {"spool_max_bytes": 1},
        lambda _, process: "the spool is full" in _dropped(process),
        lambda world: {"servers": (world.closed_url,)},
    ),
    "spool_max_age": Case(
        lambda _: {"spool_max_age": 1},
        lambda _, process: "too old" in _dropped(process),
        lambda world: {"servers": (world.closed_url,)},
    ),
    "spool_min_free_bytes": Case(
        lambda _: {"spool_min_free_bytes": 1 << 60},
        lambda _, process: "the disk is nearly full" in _dropped(process),
        lambda world: {"servers": (world.closed_url,)},
    ),
}


@pytest.fixture
def world(home: Path) -> Iterator[World]:
    """Servers and a proxy. The spool already has more polls than a full disk has to take."""
    made = World(home)
    spool = open_spool(home / "spool.sqlite", AMPLE)
    large = [
        (n, Poll(LAYOUT.identifier, n, b"\x91\x01" + os.urandom(50_000))) for n in range(1, 101)
    ]
    spool.append(large, LAYOUTS, "earlier")
    spool.acknowledge(OUTPUT, 0)
    spool.close()
    yield made
    made.close()


def fill(home: Path) -> None:
    """Put more into the spool than it may have on any disk, however full."""
    spool = open_spool(home / "spool.sqlite", AMPLE)
    large = [(n, Poll(LAYOUT.identifier, n, os.urandom(50_000))) for n in range(1, 101)]
    spool.append(large, LAYOUTS, "earlier")
    spool.close()


@contextmanager
def running(home: Path, world: World, **settings: object) -> Iterator[Process]:
    """Run an uploader that still runs at the end of the block."""
    process = Process(home, world.server.port, **settings)
    try:
        yield process
        assert process.status is None
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        _, status = os.waitpid(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


class Feed:
    """Gives an uploader a poll at each call, 1.5 s after the one before by its time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._number = 0

    def __call__(self) -> bool:
        """Give it the next poll. Always true, for use in a condition."""
        self._number += 1500
        self._process.give(self._number)
        return True


def _case(name: str, home: Path) -> Case:
    if name == "spool_min_free_bytes":
        fill(home)
    if name == "encrypted" and host_checks.missing_for_encryption():
        pytest.skip(host_checks.missing_for_encryption())
    return CASES[name]


@pytest.mark.parametrize("name", CASES)
def test_a_setting_takes_effect_at_a_start(home: Path, world: World, name: str) -> None:
    """The uploader starts with it, for example as the successor of another one."""
    case = _case(name, home)
    with running(home, world, **{**case.before(world), **case.after(world)}) as process:
        feed = Feed(process)
        wait_for(lambda: feed() and case.seen(world, process), what=f"the effect of {name}")


@pytest.mark.parametrize("name", CASES)
def test_a_setting_takes_effect_at_a_reload(home: Path, world: World, name: str) -> None:
    """It replaces the value with which the uploader has worked before."""
    case = _case(name, home)
    before = case.before(world)
    with running(home, world, **before) as process:
        feed = Feed(process)
        feed()
        wait_for(lambda: process.accounts and process.accounts[-1]["sequence"], what="a commit")
        if name == "post_jitter":  # polls that arrive during a post do not wait for it
            process.wait_for_deliveries(1)
        assert not case.seen(world, process)
        after = {"ip_bind_port": world.server.port, **before, **case.after(world)}
        process.link.send(Kind.SETTINGS, 1, config_in(home, **after).fields())
        process.wait_to_hear(Kind.APPLIED, 1)
        wait_for(lambda: feed() and case.seen(world, process), what=f"the effect of {name}")


@pytest.mark.parametrize("name", ["ip_bind_port", "proxy", "servers"])
def test_a_setting_that_is_taken_back_is_out_of_force(home: Path, world: World, name: str) -> None:
    """A second reload is compared with the first one, and not with the start."""
    case = CASES[name]
    with running(home, world) as process:
        feed = Feed(process)
        usual = {"ip_bind_port": world.server.port}
        for number, settings in enumerate(({**usual, **case.after(world)}, usual), 1):
            process.link.send(Kind.SETTINGS, number, config_in(home, **settings).fields())
            process.wait_to_hear(Kind.APPLIED, number)
            if number == 1:
                wait_for(lambda: feed() and case.seen(world, process), what="the effect")
        before, through = len(world.server.posts), len(world.proxy.lines)
        wait_for(lambda: feed() and len(world.server.posts) > before + 1, what="posts as before")
        assert len(world.proxy.lines) <= through + 1  # a post was under way
