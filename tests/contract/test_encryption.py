"""Keys and posts of encrypted mode, as the original library reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pattoo_shared import encrypt

from pattoo_mp.program import AUTONOMOUS
from pattoo_mp.upload.pattoo.encrypted.session import EncryptedTransport
from pattoo_mp.upload.pattoo.transport import PattooTransport
from tests.support.decrypting import end_gpg_agent
from tests.support.keyrings import AGENT_ID
from tests.support.ports import at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.upload.pattoo.encrypted.keyring import Keyring
    from tests.support.decrypting import DecryptingServer
    from tests.support.keyrings import Keyrings


@pytest.fixture
def ours(home: Path, keyrings: Keyrings, monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """Our keys where the original looks for its own, with a path that is short enough for its sockets."""
    for name in ("log", "cache", "daemon/agent_id", "daemon/keys"):
        (home / name).mkdir(parents=True)
    (home / "daemon/agent_id" / f"{AUTONOMOUS.name}.agent_id").write_text(AGENT_ID)
    (home / "pattoo.yaml").write_text(
        f"pattoo:\n  log_directory: {home}/log\n  cache_directory: {home}/cache\n"
        f"  daemon_directory: {home}/daemon\n"
    )
    (home / "pattoo_agent.yaml").write_text("pattoo_agent_api:\n  ip_address: 127.0.0.1\n")
    monkeypatch.setenv("PATTOO_CONFIGDIR", str(home))
    return keyrings.of_agent(home / "daemon/keys" / AUTONOMOUS.name)


@pytest.fixture
def original(ours: Keyring) -> Iterator[encrypt.Encryption]:
    """The original library's view of these keys."""
    yield encrypt.Encryption(AUTONOMOUS.name)
    end_gpg_agent(ours.directory / ".keyring")


def test_the_original_finds_our_key_and_opens_it(
    ours: Keyring, original: encrypt.Encryption
) -> None:
    """By the names of the files: going back to the original keeps the key."""
    with ours.open() as own:
        assert original.fingerprint() == own.fingerprint
        assert original.email == AGENT_ID
        message = ours.gpg.encrypt_to(own.fingerprint, b"nonce")
    assert original.decrypt(message) == "nonce"


def test_the_original_decrypts_what_we_encrypt(ours: Keyring, original: encrypt.Encryption) -> None:
    """A real server uses the same library."""
    assert original.sdecrypt(ours.gpg.symmetric(b'{"data": 1}', "pass"), "pass") == '{"data": 1}'
    with ours.open() as own:
        message = ours.gpg.encrypt_to(own.fingerprint, b"a pass phrase")
    assert original.decrypt(message) == "a pass phrase"


def test_a_server_that_has_our_key_from_the_original_gets_posts(
    ours: Keyring, original: encrypt.Encryption, decrypting: DecryptingServer
) -> None:
    """It is the same key; sending it again adds no other one."""
    decrypting.gpg.import_keys(original.pexport())
    transport = EncryptedTransport(PattooTransport(at(decrypting.port)), ours)
    assert transport.post(AGENT_ID, b"{}").delivered
