"""Proxies and credentials on the way to a server."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.secrets import basic
from pattoo_mp.config.values import Trust
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.transport import PattooTransport
from tests.support.ports import at, free_port
from tests.support.proxy import ForwardProxy
from tests.support.server import PattooServer, answering
from tests.support.tls import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.upload.answer import Outcome
    from tests.support.server import Handler

    MakeProxy = Callable[..., ForwardProxy]

AGENT_ID = "a" * 64
BODY = b'{"some": "json"}'
SECRET = "s3cret"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA that the agent trusts."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[PattooServer]:
    """A server with TLS."""
    running = PattooServer(authority.server())
    yield running
    running.close()


@pytest.fixture(params=["http", "https"])
def target(request: pytest.FixtureRequest, authority: Authority) -> Iterator[PattooServer]:
    """A server, once without and once with TLS."""
    running = PattooServer(authority.server() if request.param == "https" else None)
    yield running
    running.close()


@pytest.fixture
def make_proxy() -> Iterator[MakeProxy]:
    """Starts proxies; all end with the test."""
    running: list[ForwardProxy] = []

    def make(**settings: object) -> ForwardProxy:
        running.append(ForwardProxy(**settings))  # type: ignore[arg-type]
        return running[-1]

    yield make
    for proxy in running:
        proxy.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Removes all proxies from the environment; a test may add some."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def secret_in(path: Path, content: str) -> Path:
    """Write a file that only the agent's user may use."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(content + "\n")
    return path


def url_of(server: PattooServer) -> str:
    """The URL of a server, with https if it uses TLS."""
    return f"{'https' if server.context else 'http'}://127.0.0.1:{server.port}"


def post(server: str, trust: Trust, proxy: str | None = None) -> Outcome:
    """Post once."""
    return PattooTransport(server, trust, proxy).post(AGENT_ID, BODY)


def wanting(*headers: str) -> Callable[[Handler], bool]:
    """Accept posts with one of these headers, and answer 401 to all others."""

    def behave(handler: Handler) -> bool:
        return handler.headers["Authorization"] in headers or answering(401)(handler)

    return behave


# --- credentials


@pytest.mark.parametrize(
    ("content", "header"),
    [(SECRET, f"Bearer {SECRET}"), (f"agent:{SECRET}", basic(f"agent:{SECRET}"))],
)
def test_credentials_are_sent(
    secure: PattooServer, authority: Authority, tmp_path: Path, content: str, header: str
) -> None:
    """With each post. Without them the error names the setting, and the fault is for the operator."""
    secure.behaviour = wanting(header)
    named = Trust(authority.file, credentials_file=secret_in(tmp_path / "secret", content))
    assert post(url_of(secure), named).delivered
    outcome = post(url_of(secure), Trust(authority.file))
    assert (outcome.error, outcome.fault) == (
        "status 401 Unauthorized: the server requires credentials, or rejects ours: see credentials_file",
        Fault.DENIED,
    )


def test_a_new_token_applies_from_the_next_post_on(
    secure: PattooServer, authority: Authority, tmp_path: Path
) -> None:
    """The file is replaced, and nothing is restarted."""
    secure.behaviour = wanting("Bearer second")
    path = secret_in(tmp_path / "secret", "first")
    transport = PattooTransport(url_of(secure), Trust(authority.file, credentials_file=path))
    assert transport.post(AGENT_ID, BODY).fault is Fault.DENIED
    secret_in(tmp_path / "new", "second").replace(path)
    assert transport.post(AGENT_ID, BODY).delivered
    path.chmod(0o644)
    outcome = transport.post(AGENT_ID, BODY)
    assert outcome.fault is Fault.DENIED
    assert outcome.error.startswith(f"credentials_file: {path} is accessible to other users")


def test_403_says_that_we_may_not_post(server: PattooServer) -> None:
    """The proxy's page is not quoted, so the line is short."""
    server.behaviour = answering(403, b"<html>" + b"no " * 1000)
    outcome = post(at(server.port), Trust())
    assert outcome.error.startswith("status 403 Forbidden: ")
    assert outcome.fault is Fault.DENIED
    assert len(outcome.error) < 200


def test_a_server_that_repeats_our_secret_is_not_quoted(
    server: PattooServer, tmp_path: Path
) -> None:
    """Whatever its status, reason, page and location."""

    def echo(handler: Handler) -> bool:
        handler.send_response(statuses.pop(), str(handler.headers["Authorization"]))
        handler.send_header("Content-Length", str(len(handler.headers["Authorization"])))
        handler.send_header("Location", str(handler.headers["Authorization"]))
        handler.end_headers()
        handler.wfile.write(handler.headers["Authorization"].encode())
        return False

    statuses = [200, 204, 302, 400, 401, 403, 404, 407, 413, 429, 500, 503, 599]
    server.behaviour = server.status_page = echo
    trust = Trust(credentials_file=secret_in(tmp_path / "secret", f"agent:{SECRET}"))
    for _ in range(len(statuses)):
        outcome = post(at(server.port), trust)
        assert not outcome.delivered
        for word in (SECRET, basic(f"agent:{SECRET}").split()[1], "Basic"):
            assert word not in outcome.error


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(b"", b"", "the answer is not valid HTTP (BadStatusLine)"),
     (b"HTTP/1.1 200 ", b"9" * 70_000, "the answer is not valid HTTP (LineTooLong)"),
     (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, b"",
      "the answer is not valid HTTP (HTTPException)"),
     (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"",
      "the connection ended in the middle of the answer")],
)  # fmt: skip
def test_an_answer_that_is_not_http_is_not_quoted_either(
    tmp_path: Path, before: bytes, after: bytes, said: str
) -> None:
    """The library's error would hold the line. What is said instead is clear."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def echo() -> None:
            connection, _ = listening.accept()
            with connection:
                head = connection.recv(65536)
                line = re.findall(rb"Authorization: .*\r\n", head)[0]
                with contextlib.suppress(OSError):  # it reads only as much as it needs
                    connection.sendall(before + line.rstrip() + after + b"\r\n\r\n")

        thread = threading.Thread(target=echo)
        thread.start()
        trust = Trust(credentials_file=secret_in(tmp_path / "secret", SECRET))
        outcome = post(at(listening.getsockname()[1]), trust)
        thread.join(20)
    assert outcome.error == said


# --- proxies


def test_a_proxy_forwards_posts_in_plain_http(server: PattooServer, make_proxy: MakeProxy) -> None:
    """The request to it has the whole URL."""
    proxy = make_proxy()
    assert post(at(server.port), Trust(), at(proxy.port)).delivered
    assert proxy.lines[0].startswith(f"POST {at(server.port)}/pattoo/api/v1/agent/receive/")


def test_a_proxy_connects_for_tls_and_sees_nothing_of_it(
    secure: PattooServer, authority: Authority, make_proxy: MakeProxy, tmp_path: Path
) -> None:
    """The certificate is the server's, and only the server gets the credentials."""
    proxy = make_proxy()
    trust = Trust(authority.file, credentials_file=secret_in(tmp_path / "secret", SECRET))
    secure.behaviour = wanting(f"Bearer {SECRET}")
    assert post(url_of(secure), trust, at(proxy.port)).delivered
    (line,) = proxy.lines
    assert line.startswith(f"CONNECT 127.0.0.1:{secure.port} ")
    assert proxy.heads[0]["Authorization"] is None
    outcome = post(url_of(secure), Trust(), at(proxy.port))
    assert "not trusted here" in outcome.error


def test_a_proxy_that_requires_credentials_gets_them(
    target: PattooServer, authority: Authority, make_proxy: MakeProxy, tmp_path: Path
) -> None:
    """Only the proxy gets them. Without them the error says so."""
    proxy = make_proxy(accepts=basic(f"agent:{SECRET}"))
    url = url_of(target)
    seen: list[str | None] = []

    def look(handler: Handler) -> bool:
        seen.append(handler.headers["Authorization"])
        return True

    target.behaviour = look
    path = secret_in(tmp_path / "secret", f"agent:{SECRET}")
    trust = Trust(authority.file, proxy_credentials_file=path)
    assert post(url, trust, at(proxy.port)).delivered
    outcome = post(url, Trust(authority.file), at(proxy.port))
    assert (outcome.error, outcome.fault) == (
        "status 407 Proxy Authentication Required: the proxy requires credentials, or rejects "
        "ours: see proxy_credentials_file",
        Fault.DENIED,
    )
    assert seen == [None]


def test_an_https_proxy_forwards_posts(
    server: PattooServer, secure: PattooServer, authority: Authority, make_proxy: MakeProxy
) -> None:
    """Also TLS within TLS. Its certificate is checked like a server's."""
    proxy = make_proxy(context=authority.server())
    url = f"https://127.0.0.1:{proxy.port}"
    assert post(at(server.port), Trust(authority.file), url).delivered
    assert post(url_of(secure), Trust(authority.file), url).delivered
    assert len(proxy.lines) == 2
    assert "not trusted here" in post(at(server.port), Trust(), url).error


@pytest.mark.parametrize(
    ("status", "fault"), [(403, Fault.DENIED), (502, Fault.PROXY), (503, Fault.PROXY)]
)
def test_a_proxy_that_does_not_connect_is_named(
    secure: PattooServer, authority: Authority, make_proxy: MakeProxy, status: int, fault: Fault
) -> None:
    """With its status."""
    proxy = make_proxy()
    proxy.refuses = status
    outcome = post(url_of(secure), Trust(authority.file), at(proxy.port))
    assert outcome.error.startswith(f"the proxy does not connect to the server (status {status})")
    assert outcome.fault is fault


def test_an_unreachable_proxy_is_named(secure: PattooServer, authority: Authority) -> None:
    """It is not mistaken for the server, which may be healthy."""
    outcome = post(url_of(secure), Trust(authority.file), at(free_port()))
    assert (outcome.error, outcome.fault) == ("the proxy: Connection refused", Fault.PROXY)


def test_a_proxy_from_the_environment_is_used_unless_configured_otherwise(
    target: PattooServer,
    authority: Authority,
    make_proxy: MakeProxy,
    environment: pytest.MonkeyPatch,
) -> None:
    """With its user and password. The setting wins, also `direct`, and so does no_proxy."""
    named, configured = make_proxy(accepts=basic(f"agent:{SECRET}/@:")), make_proxy()
    url = url_of(target)
    trust = Trust(authority.file)
    environment.setenv(
        f"{url.partition(':')[0]}_proxy", f"http://agent:{SECRET}%2F%40%3A@127.0.0.1:{named.port}"
    )
    assert post(url, trust).delivered
    assert (len(named.lines), len(configured.lines)) == (1, 0)
    assert post(url, trust, at(configured.port)).delivered
    assert post(url, trust, "direct").delivered
    environment.setenv("no_proxy", "127.0.0.1")
    assert post(url, trust).delivered
    assert (len(named.lines), len(configured.lines)) == (1, 1)


@pytest.mark.parametrize(
    "named", [f"http://agent:{SECRET}@", f"http://agent:{SECRET}@x:y", f"socks5://agent:{SECRET}@x:1",
              f"agent:{SECRET}@[::", f"http://agent:{SECRET}@x/path"],
)  # fmt: skip
def test_a_bad_proxy_in_the_environment_is_reported_but_not_shown(
    server: PattooServer, environment: pytest.MonkeyPatch, named: str
) -> None:
    """Its URL may hold a password."""
    environment.setenv("http_proxy", named)
    outcome = post(at(server.port), Trust())
    assert outcome.fault is Fault.DENIED
    assert outcome.error == (
        "proxy: what is named in the environment cannot be used; expected the URL of a proxy, such "
        "as http://proxy.example.org:3128, or direct"
    )


def test_an_exchange_through_a_hanging_proxy_is_limited_in_time(
    server: PattooServer, secure: PattooServer, authority: Authority
) -> None:
    """Both when it forwards and when it connects."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        proxy = at(deaf.getsockname()[1])
        for url in (at(server.port), url_of(secure)):
            transport = PattooTransport(url, Trust(authority.file), proxy, exchange_s=0.3)
            outcome = transport.post(AGENT_ID, BODY)
            assert outcome.error == "no complete answer within 0.3 s"
            assert outcome.fault is Fault.LATE


def test_a_proxys_400_for_a_reason_of_tls_is_understood(server: PattooServer) -> None:
    """Apache and nginx report on a page what others report in the handshake."""
    pages = {
        b"<title>400 No required SSL certificate was sent</title>": "tls_certificate_file",
        b"<title>400 The SSL certificate error</title>": "tls_certificate_file",
        b"<title>400 The plain HTTP request was sent to HTTPS port</title>": "https",
        b"You're speaking plain HTTP to an SSL-enabled server port.": "https",
    }
    for page, word in pages.items():
        server.behaviour = answering(400, page)
        outcome = post(at(server.port), Trust())
        assert (outcome.fault, word in outcome.error) == (Fault.DENIED, True)
