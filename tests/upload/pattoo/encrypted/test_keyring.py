"""The agent's key: made once, found again, private."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import KeyringError
from tests.support.keyrings import AGENT_ID, keyring_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keyrings import Keyrings


def test_an_existing_key_is_used(home: Path, keyrings: Keyrings) -> None:
    """Also after a restart."""
    keyring = keyrings.of_agent(home / "keys")
    for _ in range(2):
        with keyring.open() as own:
            assert own.fingerprint == keyrings.fingerprint
            assert own.public.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")


def test_only_the_agents_user_can_read_the_keys(home: Path, keyrings: Keyrings) -> None:
    """Whatever mode their directory had before."""
    keyring = keyrings.of_agent(home / "keys")
    (home / "keys").chmod(0o755)
    with keyring.open() as own:
        pass_phrase = home / "keys" / f"{own.fingerprint}-{AGENT_ID}"
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "keys/.keyring").stat().st_mode) == 0o700
    assert stat.S_IMODE(pass_phrase.stat().st_mode) == 0o600
    assert pass_phrase.read_text() not in repr(own)


def test_an_unusable_directory_is_reported_in_one_line(home: Path) -> None:
    """It names the path."""
    (home / "keys").write_text("a file")
    with (
        pytest.raises(KeyringError, match=f"{home}/keys.*expected a directory of the agent's own"),
        keyring_in(home / "keys").open(),
    ):
        pass


def test_a_link_in_place_of_the_pass_phrase_is_not_followed(home: Path, keyrings: Keyrings) -> None:
    """It could lead anywhere."""
    keyring = keyrings.of_agent(home / "keys")
    file = home / "keys" / f"{keyrings.fingerprint}-{AGENT_ID}"
    file.rename(home / "elsewhere")
    file.symlink_to(home / "elsewhere")
    with pytest.raises(KeyringError, match="links are not followed"), keyring.open():
        pass
