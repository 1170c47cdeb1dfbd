"""Who may post and ask: everybody on this host, or who knows the token."""

from __future__ import annotations

import re
import stat
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from pattoo_mp.receiver import access
from tests.receiver.posts import GOLDEN, GOLDEN_AGENT
from tests.receiver.process import JSON, command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.receiver.process import Answer, Receiver

EVERYWHERE = "0.0.0.0"  # noqa: S104
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with a token, as the command makes it."""
    path = tmp_path / "token"
    done = command("--make-token", str(path), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return path


@pytest.fixture
def guarded(token_file: Path, make_receiver: Callable[..., Receiver]) -> Receiver:
    """A receiver that needs the token, for all addresses."""
    return make_receiver("--host", EVERYWHERE, "--token-file", str(token_file))


def agents(receiver: Receiver, **headers: str) -> int:
    """The status of a query."""
    return receiver.get("/api/v1/agents", **headers).status


def log_in(receiver: Receiver, token: str) -> Answer:
    """Send the form."""
    return receiver.ask_path("POST", "/login", urlencode({"token": token}).encode(), FORM)


def test_the_token_is_needed_for_all_that_is_not_the_login(
    guarded: Receiver, token_file: Path
) -> None:
    """Posts, queries, the status, and paths that do not exist; the log says so at the start."""
    assert "need the token in" in guarded.log
    answers = [
        guarded.post(GOLDEN_AGENT, GOLDEN),
        guarded.ask("GET", "/status"),
        guarded.get("/api/v1/agents"),
        guarded.get("/api/v1/openapi.json"),
        guarded.get("/nothing"),
    ]
    assert {answer.status for answer in answers} == {401}
    assert {answer.headers["Www-Authenticate"] for answer in answers} == {"Bearer"}
    assert guarded.get("/").status == 303
    bearer = f"Bearer {token_file.read_text().strip()}"
    assert guarded.post(GOLDEN_AGENT, GOLDEN, Authorization=bearer).status == 200
    assert agents(guarded, Authorization=bearer) == 200
    assert agents(guarded, Authorization=bearer[:-1]) == 401
    basic = b64encode(f"agent:{bearer.removeprefix('Bearer ')}".encode()).decode()
    assert agents(guarded, Authorization=f"Basic {basic}") == 200
    for wrong in ("Basic", "Basic !", "Bearer", "Bearer é", "Other x"):
        assert agents(guarded, Authorization=wrong) == 401


def test_a_login_gives_a_cookie_that_is_enough(guarded: Receiver, token_file: Path) -> None:
    """Scripts do not see it, other sites do not send it, and nobody can change it."""
    assert 'name="token"' in guarded.get("/login").text
    answer = log_in(guarded, token_file.read_text())
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    value = cookie.partition(";")[0]
    assert agents(guarded, Cookie=value) == 200
    later = re.sub(r"=(\d)", r"=9\1", value)
    for changed in (later, value[:-1], f"{access.COOKIE}=", f"{access.COOKIE}=1.é"):
        assert agents(guarded, Cookie=changed) == 401


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_cookie_goes_by_tls_alone_if_the_login_did(
    guarded: Receiver, token_file: Path, scheme: str
) -> None:
    """The proxy in front says so."""
    form = f"token={token_file.read_text().strip()}".encode()
    headers = {**FORM, "X-Forwarded-Proto": scheme}
    cookie = guarded.ask_path("POST", "/login", form, headers).headers["Set-Cookie"]
    assert ("Secure" in cookie) == (scheme == "https")


def test_tries_of_a_login_are_limited(guarded: Receiver, token_file: Path) -> None:
    """After five wrong ones not even the token is looked at; who has it in a header goes on."""
    assert [log_in(guarded, "x" * 43).status for _ in range(5)] == [401] * 5
    right = log_in(guarded, token_file.read_text())
    assert (right.status, right.headers["Retry-After"]) == (429, "60")
    assert agents(guarded, Authorization=f"Bearer {token_file.read_text().strip()}") == 200
    assert "a wrong token from '127.0.0.1'" in guarded.log


def test_tries_in_headers_are_limited_too(guarded: Receiver, token_file: Path) -> None:
    """Not by few: many agents may come through one proxy."""
    for _ in range(100):
        assert agents(guarded, Authorization="Bearer wrong") == 401
    assert agents(guarded, Authorization=f"Bearer {token_file.read_text().strip()}") == 429


def test_wrong_tries_of_one_client_of_a_proxy_lock_out_no_other(
    guarded: Receiver, token_file: Path
) -> None:
    """Only the last address counts: those before are of the client itself."""
    right = f"Bearer {token_file.read_text().strip()}"
    for number in range(101):
        header = {"X-Forwarded-For": f"10.0.0.{number}, 192.0.2.1", "Authorization": "Bearer wrong"}
        last = agents(guarded, **header)
    assert last == 429
    assert agents(guarded, **{"X-Forwarded-For": "192.0.2.2", "Authorization": right}) == 200
    assert agents(guarded, Authorization=right) == 200
    assert agents(guarded, **{"X-Forwarded-For": "192.0.2.1", "Authorization": right}) == 429


def test_beyond_this_host_a_token_is_required(tmp_path: Path) -> None:
    """The line says how to make one."""
    done = command("--host", EVERYWHERE, "--port", "0", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "error" in line]
    assert "needs --token-file" in line
    assert "--make-token" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("short", 0o600, "20 to 200"),
        ("x" * 30 + "\nand more", 0o600, "one line"),
        ("x" * 30, 0o640, "mode 0600"),
        (None, 0, "No such file"),
    ],
)
def test_a_token_file_that_is_wrong_is_named(
    tmp_path: Path, content: str | None, mode: int, words: str
) -> None:
    """One line; nothing listens."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    done = command("--port", "0", "--token-file", str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert words in done.stderr.splitlines()[-1]
    assert content is None or content not in done.stderr


def test_a_token_file_is_private_and_not_replaced(token_file: Path, tmp_path: Path) -> None:
    """Whoever made one before keeps it."""
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    before = token_file.read_text()
    done = command("--make-token", str(token_file), cwd=tmp_path)
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert token_file.read_text() == before


def test_another_site_cannot_lead_a_browser_here(receiver: Receiver) -> None:
    """Its name resolves to this host, but what is asked for has the name of the site."""
    assert agents(receiver) == 200
    assert agents(receiver, Host="localhost:1234") == 200
    assert agents(receiver, Host="[::1]:1234") == 200
    assert agents(receiver, Host="metrics.example.org") == 403
    assert agents(receiver, Host="[") in {400, 403}
    assert receiver.ask("POST", f"/receive/{GOLDEN_AGENT}", GOLDEN, {**JSON, "Host": "receiver"}).status == 200  # fmt: skip
