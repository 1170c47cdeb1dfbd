"""gpg has time limits, and leaves no process behind."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.pattoo.encrypted.gpg import Gpg
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.decrypting import DecryptingServer
    from tests.support.keyrings import Keyrings


@pytest.fixture
def ring(home: Path, keyrings: Keyrings) -> Path:
    """A key ring with a key."""
    return keyrings.of_agent(home / "keys").directory / ".keyring"


def gpg_agents(ring: Path) -> list[str]:
    """The agents that run for a key ring. Unreaped ones do not count."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (process / "cmdline").read_bytes()
            if b"gpg-agent" in arguments and os.fsencode(ring) in arguments:
                found.append(process.name)
    return found


def test_no_agent_stays_when_the_work_is_done(ring: Path) -> None:
    """One runs while a secret key is used, and none afterwards."""
    gpg = Gpg(ring)
    with gpg.agent():
        assert gpg_agents(ring)
        assert gpg.secret_keys()
    wait_for(lambda: not gpg_agents(ring), what="its end")


def test_without_an_agent_keys_do_not_count_as_lost(ring: Path) -> None:
    """Otherwise a new key would replace a good one."""
    with pytest.raises(KeyringError, match="no gpg-agent running"):
        Gpg(ring).secret_keys()


def test_close_ends_the_agent_and_refuses_later_calls(ring: Path) -> None:
    """As when an uploader ends while its other thread uses gpg."""
    gpg = Gpg(ring)
    with gpg.agent():
        gpg.close()
        with pytest.raises(KeyringError, match="the agent is stopping"):
            gpg.symmetric(b"words", "pass phrase")
    wait_for(lambda: not gpg_agents(ring), what="its end")


def test_a_hanging_gpg_is_ended(ring: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And reported."""
    gpg, pids = Gpg(ring), home / "pids"
    assert gpg.symmetric(b"words", "pass phrase")
    gpg._step_s = 0.5
    pids.touch()  # it may be ended before it writes its pid
    programs = home / "bin"
    programs.mkdir()
    (programs / "gpg").write_text(f"#!/bin/sh\necho $$ >> {pids}\nexec sleep 60\n")
    (programs / "gpg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(KeyringError, match=r"gpg: no answer within 0\.5 s"):
        gpg.symmetric(b"words", "pass phrase")
    with pytest.raises(KeyringError, match=r"gpg: no answer within 0\.5 s"):
        gpg.secret_keys()
    assert not [pid for pid in pids.read_text().split() if Path(f"/proc/{pid}").exists()]


def test_a_missing_gpg_is_reported_in_one_line(
    ring: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With advice."""
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(KeyringError, match=r"gpg cannot be run .*; see --doctor"):
        Gpg(ring).symmetric(b"words", "pass phrase")


def test_a_key_ring_may_have_a_long_path(home: Path, keyrings: Keyrings) -> None:
    """Longer than the 108 bytes for the path of gpg's sockets."""
    directory = home / ("d" * 100) / ("e" * 100)
    directory.parent.mkdir()
    with keyrings.of_agent(directory).open() as own:
        assert own.fingerprint == keyrings.fingerprint


def test_decrypted_data_is_limited_in_size(ring: Path, keyrings: Keyrings) -> None:
    """A megabyte of zeros compresses to a kilobyte."""
    gpg = Gpg(ring)
    with gpg.agent():
        bomb = gpg.encrypt_to(keyrings.fingerprint, bytes(1_000_000))
        assert len(bomb) < 5000
        with pytest.raises(KeyringError, match="gpg could not decrypt"):
            gpg.decrypt(bomb, "no matter")


def test_nothing_secret_is_logged(
    ring: Path, decrypting: DecryptingServer, caplog: pytest.LogCaptureFixture
) -> None:
    """At level debug, python-gnupg would log arguments and everything it reads."""
    with caplog.at_level(logging.DEBUG):
        message = Gpg(ring).symmetric(b"words", "a pass phrase")
    assert "words" not in caplog.text
    assert "pass" not in caplog.text
    assert str(decrypting.gpg.decrypt(message, passphrase="a pass phrase")) == "words"
