"""What encrypted mode needs, and has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.config import host_checks
from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.doctor.spool import key_findings
from pattoo_mp.upload.pattoo.encrypted.known import FILE
from tests.support.configs import config_in

if TYPE_CHECKING:
    from pathlib import Path

AGENT_ID = "5a" * 32
OURS, THEIRS = "A1" * 20, "B2" * 20


@pytest.fixture
def keys(home: Path) -> Path:
    """Where the keys of an agent in `home` are; none yet."""
    return paths.keys_directory(config_in(home))


def by_subject(home: Path) -> dict[str, Finding]:
    """The findings."""
    return {finding.subject: finding for finding in key_findings(config_in(home), AGENT_ID)}


def test_before_the_first_post_there_is_no_key_and_none_is_made(home: Path, keys: Path) -> None:
    """All is well with that."""
    found = by_subject(home)
    assert found["our key"] == Finding(
        State.WELL, "our key", "none yet; it is made before the first post"
    )
    assert "server's key" not in found
    assert not keys.exists()


def test_keys_are_told_by_their_fingerprints(home: Path, keys: Path) -> None:
    """Ours, and that of each server; no pass phrase is read."""
    keys.mkdir(parents=True)
    (keys / f"{OURS}-{AGENT_ID}").write_text("a pass phrase")
    (keys / FILE).write_text(f"http://one/ {THEIRS}\n")
    found = by_subject(home)
    assert found["our key"].found == OURS
    assert found["server's key"].found == f"{THEIRS}, of http://one/"


def test_a_line_that_is_not_understood_is_trouble(home: Path, keys: Path) -> None:
    """For nothing is sent as long as it stands there."""
    keys.mkdir(parents=True)
    (keys / FILE).write_text("http://one/\n")
    found = by_subject(home)["servers' keys"]
    assert found.state is State.TROUBLE
    assert "expected lines of a URL and a fingerprint" in found.found


def test_a_host_without_gnupg_is_trouble(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of a start."""
    monkeypatch.setenv("PATH", str(home))
    found = by_subject(home)["gpg"]
    assert (found.state, found.found) == (State.TROUBLE, host_checks.missing_for_encryption())
