"""gpg is bounded in time, and leaves no process behind."""

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
    """The agents that run for a key ring. One that ended, and that nobody waits for, is none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (process / "cmdline").read_bytes()
            if b"gpg-agent" in arguments and os.fsencode(ring) in arguments:
                found.append(process.name)
    return found


def test_no_agent_stays_when_the_work_is_done(ring: Path) -> None:
    """There is one while a secret key is used, and none afterwards."""
    gpg = Gpg(ring)
    with gpg.agent():
        assert gpg_agents(ring)
        assert gpg.secret_keys()
    wait_for(lambda: not gpg_agents(ring), what="its end")


def test_an_agent_that_is_not_there_has_lost_no_key(ring: Path) -> None:
    """Or a new one would be made in the place of one that is well."""
    with pytest.raises(KeyringError, match="no gpg-agent running"):
        Gpg(ring).secret_keys()


def test_close_ends_the_agent_and_all_that_comes_later(ring: Path) -> None:
    """As an uploader that is asked to end does, whatever its other thread is at."""
    gpg = Gpg(ring)
    with gpg.agent():
        gpg.close()
        with pytest.raises(KeyringError, match="the agent is stopping"):
            gpg.symmetric(b"words", "pass phrase")
    wait_for(lambda: not gpg_agents(ring), what="its end")


def test_a_gpg_that_hangs_is_given_up(
    ring: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended, and said."""
    gpg, pids = Gpg(ring), home / "pids"
    assert gpg.symmetric(b"words", "pass phrase")
    gpg._step_s = 0.5
    pids.touch()  # it may be ended before it has said who it is
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


def test_a_gpg_that_is_not_there_is_one_line(
    ring: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With where to look."""
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(KeyringError, match=r"gpg cannot be run .*; see --doctor"):
        Gpg(ring).symmetric(b"words", "pass phrase")


def test_a_key_ring_may_have_a_long_path(home: Path, keyrings: Keyrings) -> None:
    """Longer than the 108 bytes that the path of gpg's sockets may have."""
    directory = home / ("d" * 100) / ("e" * 100)
    directory.parent.mkdir()
    with keyrings.of_agent(directory).open() as own:
        assert own.fingerprint == keyrings.fingerprint


def test_what_is_decrypted_may_not_grow_without_end(ring: Path, keyrings: Keyrings) -> None:
    """A megabyte of zeros is a kilobyte when it is packed."""
    gpg = Gpg(ring)
    with gpg.agent():
        bomb = gpg.encrypt_to(keyrings.fingerprint, bytes(1_000_000))
        assert len(bomb) < 5000
        with pytest.raises(KeyringError, match="gpg could not decrypt"):
            gpg.decrypt(bomb, "no matter")


def test_nothing_secret_is_logged(
    ring: Path, decrypting: DecryptingServer, caplog: pytest.LogCaptureFixture
) -> None:
    """python-gnupg would log arguments, and what it reads, at level debug."""
    with caplog.at_level(logging.DEBUG):
        message = Gpg(ring).symmetric(b"words", "a pass phrase")
    assert "words" not in caplog.text
    assert "pass" not in caplog.text
    assert str(decrypting.gpg.decrypt(message, passphrase="a pass phrase")) == "words"
