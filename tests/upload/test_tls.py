"""Posts to real servers with TLS, and a CA made for the tests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import warnings
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.values import Trust
from pattoo_mp.upload.answer import Outcome
from pattoo_mp.upload.exchange import WatchedAdapter
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.transport import PattooTransport
from tests.support.server import PattooServer
from tests.support.tls import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Serve = Callable[[ssl.SSLContext | None], PattooServer]

AGENT_ID = "a" * 64
BODY = b'{"some": "json"}'
SHORT_S = 0.5
DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA that the agent trusts."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that nothing trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers; all end with the test."""
    running: list[PattooServer] = []

    def start(context: ssl.SSLContext | None) -> PattooServer:
        running.append(PattooServer(context))
        return running[-1]

    yield start
    for server in running:
        server.close()


def transport_to(server: PattooServer, trust: Trust, host: str = "127.0.0.1") -> PattooTransport:
    """A transport with TLS."""
    return PattooTransport(f"https://{host}:{server.port}", trust)


def post(server: PattooServer, trust: Trust, host: str = "127.0.0.1") -> Outcome:
    """Post once."""
    return transport_to(server, trust, host).post(AGENT_ID, BODY)


def assert_denied(server: PattooServer, outcome: Outcome, *words: str) -> None:
    """Assert that nothing was delivered, and that one line tells the operator what to do."""
    assert not outcome.delivered
    assert outcome.fault is Fault.DENIED, outcome.error
    assert [word for word in words if word not in outcome.error] == [], outcome.error
    assert outcome.error.isprintable()
    assert server.attempts == 0


# --- the server's certificate


def test_a_server_of_a_trusted_ca_gets_posts(serve: Serve, authority: Authority) -> None:
    """Its status page works in the same way."""
    server = serve(authority.server())
    transport = transport_to(server, Trust(authority.file))
    assert transport.post(AGENT_ID, BODY) == Outcome()
    assert transport.is_healthy()
    assert [(post.agent_id, post.body) for post in server.posts] == [(AGENT_ID, BODY)]


def test_a_host_name_is_checked_too(serve: Serve, authority: Authority) -> None:
    """If the certificate has the name instead of the address."""
    server = serve(authority.server("localhost"))
    assert post(server, Trust(authority.file), "localhost").delivered


def test_an_expired_certificate_is_refused(serve: Serve, authority: Authority) -> None:
    """Even from a trusted CA."""
    server = serve(authority.expired())
    outcome = post(server, Trust(authority.file))
    assert_denied(server, outcome, "certificate has expired", "renewed", "clock")


def test_a_certificate_for_another_host_is_refused(serve: Serve, authority: Authority) -> None:
    """A name instead of an address, and a name instead of another one."""
    server = serve(authority.server("pattoo.example.org"))
    trust = Trust(authority.file)
    assert_denied(server, post(server, trust), "for another name", "127.0.0.1")
    assert_denied(server, post(server, trust, "localhost"), "for another name", "localhost")


def test_a_common_name_is_no_name(serve: Serve, authority: Authority) -> None:
    """Only those in subjectAltName count (RFC 9525)."""
    server = serve(authority.server(common_name="localhost"))
    assert_denied(server, post(server, Trust(authority.file), "localhost"), "for another name")


def test_a_certificate_of_an_unknown_ca_is_refused(
    serve: Serve, authority: Authority, stranger: Authority
) -> None:
    """One other than in `tls_ca_file`, or, without that, one that the host does not trust."""
    server = serve(stranger.server())
    for trust in (Trust(authority.file), Trust()):
        assert_denied(server, post(server, trust), "not trusted here", "tls_ca_file")


def test_with_tls_ca_file_no_other_ca_is_trusted(authority: Authority) -> None:
    """Neither the host's CAs nor those that the library brings."""
    transport = PattooTransport("https://127.0.0.1:9", Trust(authority.file))
    session = transport._client._session
    session.refresh()
    adapter = session.get_adapter("https://127.0.0.1:9")
    assert isinstance(adapter, WatchedAdapter)
    pool = adapter.poolmanager.connection_from_host("127.0.0.1", 9, "https")
    pool.ca_certs = "/etc/ssl/certs/ca-certificates.crt"  # as in Debian's urllib3
    adapter.cert_verify(pool, "https://127.0.0.1:9", verify=True, cert=None)
    assert (pool.ca_certs, pool.ca_cert_dir, pool.cert_reqs) == (None, None, "CERT_REQUIRED")
    assert len(pool.conn_kw["ssl_context"].get_ca_certs()) == 1


def test_a_server_with_only_tls_1_1_is_refused(serve: Serve, authority: Authority) -> None:
    """That version is not safe any more."""
    context = authority.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = serve(context)
    assert_denied(server, post(server, Trust(authority.file)), "no TLS from 1.2 on")


def test_a_server_with_only_tls_1_2_gets_posts(serve: Serve, authority: Authority) -> None:
    """The oldest version that we accept."""
    context = authority.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert post(serve(context), Trust(authority.file)).delivered


def test_a_server_without_tls_is_named(serve: Serve, authority: Authority) -> None:
    """It gets nothing unencrypted."""
    server = serve(None)
    assert_denied(server, post(server, Trust(authority.file)), "does not speak TLS")


# --- our own certificate


def test_a_server_that_requires_a_client_certificate_gets_it(
    serve: Serve, authority: Authority
) -> None:
    """With its key in a separate file, or in the same one."""
    server = serve(authority.wanting())
    certificate, key = authority.client()
    assert post(server, Trust(authority.file, certificate, key)).delivered
    both = certificate.with_suffix(".both")
    both.touch(mode=0o600)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    assert post(server, Trust(authority.file, both)).delivered


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate_is_reported(
    serve: Serve, authority: Authority, newest: ssl.TLSVersion
) -> None:
    """TLS 1.2 fails in the handshake, TLS 1.3 after it."""
    context = authority.wanting()
    context.maximum_version = newest
    server = serve(context)
    assert_denied(server, post(server, Trust(authority.file)), "tls_certificate_file")


def test_a_client_certificate_that_the_server_does_not_trust_is_reported(
    serve: Serve, authority: Authority, stranger: Authority
) -> None:
    """With the server's reason."""
    server = serve(authority.wanting())
    trust = Trust(authority.file, *stranger.client())
    assert_denied(server, post(server, trust), "refuses our certificate", "tls_certificate_file")


# --- files that change


def test_a_new_ca_and_a_new_certificate_apply_from_the_next_post_on(
    serve: Serve, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    """The files are replaced, and nothing is restarted."""
    ca, certificate, key = (tmp_path / name for name in ("ca", "certificate", "key"))

    def renew(by: Authority) -> None:
        for place, content in zip((ca, certificate, key), (by.file, *by.client()), strict=True):
            place.unlink(missing_ok=True)
            place.touch(mode=0o600)
            place.write_bytes(content.read_bytes())

    renew(stranger)
    server = serve(authority.wanting())
    transport = transport_to(server, Trust(ca, certificate, key))
    assert not transport.post(AGENT_ID, BODY).delivered
    renew(authority)
    assert transport.post(AGENT_ID, BODY).delivered
    key.unlink()
    error = f"tls_key_file: {key} cannot be read (No such file or directory); expected the key of "
    assert transport.post(AGENT_ID, BODY).error.startswith(error)
    renew(authority)
    assert transport.post(AGENT_ID, BODY).delivered


# --- too slow


class Dripping:
    """Accepts connections, and sends `drop` again and again."""

    def __init__(self, drop: bytes) -> None:
        self._drop = drop
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._drip, args=(connection,)))
                self._threads[-1].start()

    def _drip(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.fileno() >= 0:
                connection.sendall(self._drop)
                time.sleep(0.02)  # the pace of this server, not a wait of the test

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)


#: The head of a TLS record of a handshake, so long that its end never comes.
@pytest.mark.parametrize("drop", [b"", b"\x16", b"\x16\x03\x03\x40\x00"])
def test_a_handshake_is_limited_in_time(authority: Authority, drop: bytes) -> None:
    """A server that hangs or drips in it cannot hold the client longer."""
    server = Dripping(drop)
    began = time.monotonic()
    transport = PattooTransport(
        f"https://127.0.0.1:{server.port}", Trust(authority.file), exchange_s=SHORT_S
    )
    try:
        outcome = transport.post(AGENT_ID, BODY)
    finally:
        server.close()
    assert not outcome.delivered
    if drop in {b"", b"\x16\x03\x03\x40\x00"}:
        assert outcome.error == "no complete answer within 0.5 s"
    assert time.monotonic() - began < DEADLINE_S


def test_a_whole_exchange_is_limited_in_time(serve: Serve, authority: Authority) -> None:
    """Over TLS, too: an endless answer is cut off."""
    server = serve(authority.server())
    over = threading.Event()

    def drip(handler: object) -> bool:
        with contextlib.suppress(OSError):
            while not over.is_set():
                handler.wfile.write(b"H")  # type: ignore[attr-defined]
                time.sleep(0.02)  # the pace of this server, not a wait of the test
        return False

    server.behaviour = drip
    transport = PattooTransport(
        f"https://127.0.0.1:{server.port}", Trust(authority.file), exchange_s=SHORT_S
    )
    began = time.monotonic()
    outcome = transport.post(AGENT_ID, BODY)
    over.set()
    assert outcome.error == "no complete answer within 0.5 s"
    assert time.monotonic() - began < DEADLINE_S


def test_interim_answers_are_skipped(serve: Serve, authority: Authority) -> None:
    """Over TLS, too."""
    server = serve(authority.server())

    def hint(handler: object) -> bool:
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")  # type: ignore[attr-defined]
        return True

    server.behaviour = hint
    transport = PattooTransport(f"https://127.0.0.1:{server.port}", Trust(authority.file))
    assert transport.post(AGENT_ID, BODY).delivered


def test_a_post_after_one_that_was_cut_off_is_delivered(serve: Serve, authority: Authority) -> None:
    """Over a new connection."""
    server = serve(authority.server())
    over = threading.Event()

    def hang(_: object) -> bool:
        over.wait(DEADLINE_S)
        return False

    transport = PattooTransport(
        f"https://127.0.0.1:{server.port}", Trust(authority.file), exchange_s=SHORT_S
    )
    accepting, server.behaviour = server.behaviour, hang
    assert not transport.post(AGENT_ID, BODY).delivered
    over.set()
    server.behaviour = accepting
    assert transport.post(AGENT_ID, BODY).delivered
