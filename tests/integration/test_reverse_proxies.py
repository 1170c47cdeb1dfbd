"""The documented configurations of nginx and HAProxy in front of a server. Skipped if not installed."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.values import Trust
from pattoo_mp.receiver.access import make_token
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.transport import PattooTransport
from tests.receiver.posts import GOLDEN, GOLDEN_AGENT
from tests.receiver.process import Receiver
from tests.support.agent import ROOT
from tests.support.ports import free_port
from tests.support.tls import Authority
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.upload.answer import Outcome
    from tests.support.server import PattooServer

EXAMPLES = ROOT / "docs" / "examples"
AGENT_ID = "a" * 64
TOKEN = "4f6e8a-of-host-one"
NGINX = "daemon off; pid {home}/pid; error_log {home}/log; events {{}} http {{ access_log off; {temporary} include {home}/site; }}"


@pytest.fixture
def authority(home: Path) -> Authority:
    """The CA of the proxy and of the agents."""
    return Authority(home)


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(
    request: pytest.FixtureRequest, home: Path, authority: Authority, server: PattooServer
) -> Iterator[int]:
    """The port of a proxy in front of `server`."""
    port = free_port()
    make = {"nginx": _nginx, "haproxy": _haproxy}[request.param]
    with _running(request.param, port, make(home, authority, port, server.port)):
        yield port


@contextlib.contextmanager
def _running(name: str, port: int, command: list[str]) -> Iterator[None]:
    program = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip(f"{name} is not installed")
    running = subprocess.Popen([program, *command])
    try:
        wait_for(lambda: _listens(port), what=name)
        yield
    finally:
        running.terminate()
        running.wait(20)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _nginx(home: Path, authority: Authority, port: int, to: int, name: str = "pattoo") -> list[str]:
    home.chmod(0o755)  # nginx, run by root, switches to another user
    text = (EXAMPLES / f"{name}.nginx.conf").read_text()
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace(":20201", f":{to}")
    (home / "site").write_text(text.replace("/etc/nginx/", f"{home}/"))
    certificate, key = authority.files("127.0.0.1")
    shutil.copy(certificate, home / f"{name}.pem")
    shutil.copy(key, home / f"{name}.key")
    shutil.copy(authority.file, home / "agents-ca.pem")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {home}/{kind};" for kind in kinds)
    (home / "nginx.conf").write_text(NGINX.format(home=home, temporary=temporary))
    return ["-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "log")]


def _haproxy(home: Path, authority: Authority, port: int, to: int) -> list[str]:
    text = (EXAMPLES / "pattoo.haproxy.cfg").read_text()
    text = text.replace("bind :443", f"bind 127.0.0.1:{port}").replace(":20201", f":{to}")
    (home / "haproxy.cfg").write_text(text.replace("/etc/haproxy/", f"{home}/"))
    certificate, key = authority.files("127.0.0.1")
    (home / "pattoo.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    (home / "agents").write_text(f"Bearer {TOKEN}\n")
    shutil.copy(authority.file, home / "agents-ca.pem")
    return ["-db", "-f", str(home / "haproxy.cfg")]


def test_only_agents_with_certificate_and_token_get_through(
    proxy: int, authority: Authority, server: PattooServer, home: Path
) -> None:
    """The errors of the others name what is missing."""
    token, wrong = home / "token", home / "wrong"
    for path, content in ((token, TOKEN), (wrong, "wrong")):
        path.touch(mode=0o600)
        path.write_text(content)
    url = f"https://127.0.0.1:{proxy}/monitoring"
    known = (authority.file, *authority.client())

    assert PattooTransport(url, Trust(*known, token)).post(AGENT_ID, b"{}").delivered
    assert PattooTransport(url, Trust(*known, token)).is_healthy()
    assert [post.agent_id for post in server.posts] == [AGENT_ID]
    for trust, words in (
        (Trust(*known, wrong), "status 401 Unauthorized: .*credentials_file"),
        (Trust(*known), "status 401 Unauthorized: .*credentials_file"),
        (Trust(authority.file, credentials_file=token), "tls_certificate_file"),
    ):
        outcome = PattooTransport(url, trust).post(AGENT_ID, b"{}")
        assert outcome.fault is Fault.DENIED
        assert re.search(words, outcome.error), outcome.error
    assert server.attempts == 1


def test_agents_post_to_a_receiver_behind_a_proxy_with_its_token(
    home: Path, authority: Authority
) -> None:
    """Over TLS. One with another token is told which file has it, and nothing is stored."""
    token, wrong = home / "token", home / "wrong"
    for path in (token, wrong):
        make_token(path)
    receiver = Receiver(home, "--token-file", str(token))
    port = free_port()
    try:
        with _running("nginx", port, _nginx(home, authority, port, receiver.port, "receiver")):
            url = f"https://127.0.0.1:{port}"

            def post(credentials: Path) -> Outcome:
                trust = Trust(authority.file, credentials_file=credentials)
                return PattooTransport(url, trust).post(GOLDEN_AGENT, GOLDEN)

            assert post(wrong).fault is Fault.DENIED
            assert "credentials_file" in post(wrong).error
            assert post(token).delivered
        with receiver.reader() as reader:
            assert reader.totals().posts == 1
    finally:
        receiver.end()
