"""Encrypted posts, to a server that decrypts and to others."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.values import Trust
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.encrypted.session import EncryptedTransport
from pattoo_mp.upload.pattoo.transport import PattooTransport
from tests.support.decrypting import EMAIL, DecryptingServer, make_key
from tests.support.keyrings import AGENT_ID
from tests.support.ports import at
from tests.support.proxy import ForwardProxy
from tests.support.server import answering, hanging
from tests.support.tls import Authority
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.upload.pattoo.encrypted.keyring import Keyring
    from tests.support.keyrings import Keyrings

BODY = b'{"pattoo_agent_id": "\\u00e4", "more": [1, 2.5]}'
HANDSHAKE = [("POST key", 202), ("GET key", 200), ("POST validation", 200)]


@pytest.fixture
def keyring(home: Path, keyrings: Keyrings) -> Keyring:
    """The agent's keys."""
    return keyrings.of_agent(home / "keys")


@pytest.fixture
def transport(keyring: Keyring, decrypting: DecryptingServer) -> EncryptedTransport:
    """A transport to that server, without a session yet."""
    return to(decrypting, keyring)


def to(server: DecryptingServer, keyring: Keyring, exchange_s: float = 10) -> EncryptedTransport:
    """A transport without a session yet."""
    return EncryptedTransport(PattooTransport(at(server.port), exchange_s=exchange_s), keyring)


def known_servers(keyring: Keyring) -> str:
    """The content of the file of known servers."""
    path = keyring.directory / "known_servers"
    return path.read_text() if path.exists() else ""


# --- sessions


def test_the_first_post_begins_a_session_and_arrives(
    transport: EncryptedTransport, decrypting: DecryptingServer, keyring: Keyring
) -> None:
    """Unchanged, under the agent's identity. The server is known from then on."""
    assert transport.post(AGENT_ID, BODY).delivered
    assert decrypting.asked == [*HANDSHAKE, ("POST encrypted", 202)]
    (post,) = decrypting.posts
    assert (post.agent_id, post.content) == (AGENT_ID, json.loads(BODY))
    assert known_servers(keyring).split()[1] == decrypting.fingerprint


def test_one_session_serves_many_posts(
    transport: EncryptedTransport, decrypting: DecryptingServer
) -> None:
    """A new session for each post would take most of the time."""
    for _ in range(3):
        assert transport.post(AGENT_ID, BODY).delivered
    assert decrypting.count("POST validation") == 1
    assert len(decrypting.posts) == 3


def test_a_server_that_forgot_the_session_gets_the_post_in_a_new_one(
    transport: EncryptedTransport, decrypting: DecryptingServer
) -> None:
    """Its 208 is not a delivery, so the post is sent again, once."""
    assert transport.post(AGENT_ID, BODY).delivered
    decrypting.sessions.clear()
    decrypting.asked.clear()
    assert transport.post(AGENT_ID, b'{"second": 2}').delivered
    assert decrypting.asked == [("POST encrypted", 208), *HANDSHAKE, ("POST encrypted", 202)]
    assert decrypting.posts[-1].content == {"second": 2}
    assert len(decrypting.posts) == 2


def test_a_server_that_forgets_at_once_is_not_retried_in_a_loop(
    transport: EncryptedTransport, decrypting: DecryptingServer
) -> None:
    """Each attempt makes one handshake, and the post is not delivered."""
    decrypting.answers["POST encrypted"] = (208, b"")
    outcome = transport.post(AGENT_ID, BODY)
    assert outcome.error.endswith("(208): the post is not stored")
    assert outcome.fault is Fault.UNREACHABLE
    assert decrypting.asked == [*HANDSHAKE, ("POST encrypted", 208)]
    del decrypting.answers["POST encrypted"]
    assert transport.post(AGENT_ID, BODY).delivered


@pytest.mark.parametrize("step", ["POST key", "POST validation"])
def test_208_in_a_handshake_is_a_failure(
    transport: EncryptedTransport, decrypting: DecryptingServer, step: str
) -> None:
    """Nothing is posted, and the next attempt makes a new handshake."""
    decrypting.answers[step] = (208, b"")
    assert not transport.post(AGENT_ID, BODY).delivered
    assert decrypting.count("POST encrypted") == 0
    decrypting.answers.clear()
    assert transport.post(AGENT_ID, BODY).delivered


def test_401_to_the_nonce_is_a_failure(
    transport: EncryptedTransport, decrypting: DecryptingServer, keyring: Keyring
) -> None:
    """Nothing is delivered, the server stays unknown, and the next attempt makes a new handshake."""
    decrypting.mixes_up = True
    outcome = transport.post(AGENT_ID, BODY)
    assert outcome.error == "the server did not find its nonce in our answer (401)"
    assert outcome.fault is Fault.UNREACHABLE
    assert decrypting.asked[-1] == ("POST validation", 401)
    assert (known_servers(keyring), decrypting.count("POST encrypted")) == ("", 0)
    decrypting.mixes_up = False
    assert transport.post(AGENT_ID, BODY).delivered


@pytest.mark.parametrize(
    ("step", "passing"),
    [
        ("GET key", (200, b'{"api_email": "", "api_key": KEY, "encrypted_nonce": ""}')),
        ("POST key", (500, b"no")),
        ("GET key", (500, b"no")),
        ("GET key", (413, b"no")),
        ("POST validation", (500, b"no")),
    ],
)
def test_a_handshake_that_fails_for_a_moment_says_nothing_about_the_post(
    transport: EncryptedTransport,
    decrypting: DecryptingServer,
    step: str,
    passing: tuple[int, bytes],
) -> None:
    """A real server's key ring fails so if several agents come at once. No key counts as lost."""
    status, body = passing
    key = json.dumps(str(decrypting.gpg.export_keys(decrypting.fingerprint))).encode()
    decrypting.answers[step] = (status, body.replace(b"KEY", key))
    outcome = transport.post(AGENT_ID, BODY)
    assert (outcome.fault, outcome.reached) == (Fault.UNREACHABLE, False), outcome.error
    assert "remove that" not in outcome.error
    decrypting.answers.clear()
    assert transport.post(AGENT_ID, BODY).delivered


@pytest.mark.parametrize(
    "offer", [b"[" * 65_000, b'{"a":' * 10_000, b'{"a":' * 60 + b"1" + b"}" * 60]
)
def test_a_deep_offer_is_the_servers_fault(
    transport: EncryptedTransport, decrypting: DecryptingServer, offer: bytes
) -> None:
    """It is no offer, as any other page; another server is tried in time."""
    decrypting.answers["GET key"] = (200, offer)
    outcome = transport.post(AGENT_ID, BODY)
    assert outcome.fault is Fault.NOT_PATTOO
    assert "the key of a pattoo server" in outcome.error
    decrypting.answers.clear()
    assert transport.post(AGENT_ID, BODY).delivered


def test_two_servers_have_separate_sessions_and_lines(
    decrypting: DecryptingServer, keyring: Keyring, keyrings: Keyrings, home: Path
) -> None:
    """Posts may fail over and return, with the same key of ours."""
    other = DecryptingServer(keyrings.of_server(home / "other"))
    first, second = to(decrypting, keyring), to(other, keyring)
    try:
        assert first.post(AGENT_ID, BODY).delivered
        assert second.post(AGENT_ID, BODY).delivered
        assert first.post(AGENT_ID, BODY).delivered
    finally:
        other.close()
    assert (decrypting.count("POST validation"), other.count("POST validation")) == (1, 1)
    assert (len(decrypting.posts), len(other.posts)) == (2, 1)
    assert len(known_servers(keyring).splitlines()) == 2


def test_it_uses_the_same_connections_as_unencrypted_posts(
    decrypting: DecryptingServer, keyring: Keyring, home: Path
) -> None:
    """Here with TLS through a proxy, and all of it in one session."""
    authority = Authority(home)
    decrypting.context = authority.server()
    proxy = ForwardProxy()
    url = f"https://127.0.0.1:{decrypting.port}"
    plain = PattooTransport(url, Trust(authority.file), at(proxy.port))
    transport = EncryptedTransport(plain, keyring)
    try:
        assert [transport.post(AGENT_ID, BODY).delivered for _ in range(2)] == [True, True]
    finally:
        proxy.close()
    assert decrypting.asked == [*HANDSHAKE, ("POST encrypted", 202), ("POST encrypted", 202)]
    assert {line.split()[0] for line in proxy.lines} == {"CONNECT"}
    assert known_servers(keyring).startswith(f"{url}/")


# --- keys


def test_a_lost_key_of_ours_is_replaced(
    transport: EncryptedTransport,
    decrypting: DecryptingServer,
    keyring: Keyring,
    keyrings: Keyrings,
) -> None:
    """When the next session begins; the current one does not need it."""
    assert transport.post(AGENT_ID, BODY).delivered
    for path in (keyring.directory / ".keyring/private-keys-v1.d").iterdir():
        path.unlink()
    assert transport.post(AGENT_ID, BODY).delivered
    decrypting.sessions.clear()
    assert transport.post(AGENT_ID, BODY).delivered
    assert decrypting.count("POST validation") == 2
    with keyring.open() as own:
        assert own.fingerprint != keyrings.fingerprint
        assert (keyring.directory / f"{own.fingerprint}-{AGENT_ID}").exists()


def test_a_server_with_an_older_key_of_ours_is_named(
    transport: EncryptedTransport, decrypting: DecryptingServer, home: Path
) -> None:
    """Its nonce is encrypted to that key, which must be removed there."""
    decrypting.gpg.import_keys(make_key(home / "older", AGENT_ID))
    outcome = transport.post(AGENT_ID, BODY)
    assert "the server may have an older key of this agent" in outcome.error
    assert outcome.fault is Fault.DENIED
    assert decrypting.posts == []


def test_a_server_with_another_key_gets_nothing(
    transport: EncryptedTransport, decrypting: DecryptingServer, keyring: Keyring, home: Path
) -> None:
    """One line names the old key, the new one, and what to do; the operator decides."""
    assert transport.post(AGENT_ID, BODY).delivered
    former = decrypting.fingerprint
    (decrypting.fingerprint,) = decrypting.gpg.import_keys(make_key(home / "new")).fingerprints
    decrypting.sessions.clear()
    outcome = transport.post(AGENT_ID, BODY)
    assert f"has changed, from {former} to {decrypting.fingerprint}" in outcome.error
    assert f"remove its line from {keyring.directory}/known_servers" in outcome.error
    assert outcome.fault is Fault.DENIED
    assert (decrypting.count("POST validation"), len(decrypting.posts)) == (1, 1)


def test_a_servers_new_key_is_accepted_once_its_line_is_removed(
    transport: EncryptedTransport, decrypting: DecryptingServer, keyring: Keyring
) -> None:
    """As the error says."""
    known = keyring.directory / "known_servers"
    known.write_text(f"http://127.0.0.1:{decrypting.port}/pattoo/api/v1/agent/ {'A' * 40}\n")
    assert "has changed" in transport.post(AGENT_ID, BODY).error
    known.write_text("")
    assert transport.post(AGENT_ID, BODY).delivered
    assert known_servers(keyring).split()[1] == decrypting.fingerprint


def test_our_own_key_is_not_a_servers(
    transport: EncryptedTransport, decrypting: DecryptingServer, keyring: Keyring
) -> None:
    """Whatever returns our own key is no server; our key stays."""
    with keyring.open() as own:
        offer = {"api_email": EMAIL, "api_key": own.public, "encrypted_nonce": "none"}
    decrypting.answers["GET key"] = (200, json.dumps(offer).encode())
    outcome = transport.post(AGENT_ID, BODY)
    assert outcome.error == "the server sent a key that cannot be its own; expected one public key"
    assert outcome.fault is Fault.DENIED
    decrypting.answers.clear()
    assert transport.post(AGENT_ID, BODY).delivered


# --- servers that are something else, or in trouble


def test_a_server_without_encryption_is_named(
    transport: EncryptedTransport, decrypting: DecryptingServer
) -> None:
    """404: the operator must check the server or the setting."""
    decrypting.answers["POST key"] = (404, b"")
    outcome = transport.post(AGENT_ID, BODY)
    assert outcome.fault is Fault.DENIED
    assert outcome.error.startswith("the server accepts no keys (status 404)")


@pytest.mark.parametrize(
    "offer",
    [
        b"<html>Log in first</html>",
        b"[1, 2]",
        b'{"api_key": 5, "encrypted_nonce": []}',
        b'{"api_email": "", "api_key": "' + b"k" * 100_000 + b'", "encrypted_nonce": ""}',
    ],
    ids=["page", "list", "numbers", "large"],
)
def test_an_invalid_offer_is_refused(
    transport: EncryptedTransport, decrypting: DecryptingServer, offer: bytes
) -> None:
    """Whatever it is, and however large."""
    decrypting.answers["GET key"] = (200, offer)
    outcome = transport.post(AGENT_ID, BODY)
    assert outcome.fault is Fault.NOT_PATTOO
    assert "the key of a pattoo server" in outcome.error


@pytest.mark.parametrize(
    "key", ["", "not a key", "-----BEGIN PGP PUBLIC KEY BLOCK-----", "ключ \ud800"]
)
def test_an_invalid_key_is_refused(
    transport: EncryptedTransport, decrypting: DecryptingServer, key: str
) -> None:
    """It ends only this attempt."""
    offer = {"api_key": key, "encrypted_nonce": ""}
    decrypting.answers["GET key"] = (200, json.dumps(offer).encode())
    assert transport.post(AGENT_ID, BODY).fault is Fault.DENIED
    decrypting.answers.clear()
    assert transport.post(AGENT_ID, BODY).delivered


@pytest.mark.parametrize(
    ("status", "fault"), [(500, Fault.REFUSED), (413, Fault.TOO_LARGE), (503, Fault.BUSY)]
)
def test_other_answers_mean_the_same_as_without_encryption(
    transport: EncryptedTransport, decrypting: DecryptingServer, status: int, fault: Fault
) -> None:
    """And the session goes on."""
    decrypting.behaviour = answering(status)
    assert transport.post(AGENT_ID, BODY).fault is fault
    assert transport.post(AGENT_ID, BODY).fault is fault
    assert decrypting.count("POST validation") == 1
    assert decrypting.posts == []


def test_200_is_not_a_delivery(transport: EncryptedTransport, decrypting: DecryptingServer) -> None:
    """The server answers 202 when it has stored a post; a captive portal answers 200."""
    decrypting.answers["POST encrypted"] = (200, b"OK")
    assert transport.post(AGENT_ID, BODY).fault is Fault.NOT_PATTOO


def test_a_hanging_server_is_cut_off(keyring: Keyring, decrypting: DecryptingServer) -> None:
    """With the usual time limit of an exchange; later posts are delivered."""
    until = threading.Event()
    decrypting.behaviour = hanging(until)
    transport = to(decrypting, keyring, exchange_s=0.5)
    assert transport.post(AGENT_ID, BODY).error == "no complete answer within 0.5 s"
    until.set()
    wait_for(lambda: decrypting.attempts == 1)
    decrypting.behaviour = lambda _: True
    wait_for(lambda: transport.post(AGENT_ID, BODY).delivered, what="a post in time")


def test_a_handshake_is_limited_as_a_whole(keyring: Keyring, decrypting: DecryptingServer) -> None:
    """When each step is quick enough, but all of them together are not."""
    plain = PattooTransport(at(decrypting.port))
    outcome = EncryptedTransport(plain, keyring, total_s=0).post(AGENT_ID, BODY)
    assert outcome.error == "the server is too slow to exchange keys"
    assert decrypting.asked == []


def test_a_post_after_close_ends_at_once(
    transport: EncryptedTransport, decrypting: DecryptingServer
) -> None:
    """Neither gpg nor an exchange is started."""
    assert transport.post(AGENT_ID, BODY).delivered
    transport.close()
    assert not transport.post(AGENT_ID, BODY).delivered
    assert len(decrypting.posts) == 1
