"""The file of known servers, which the operator may edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.pattoo.encrypted.known import KnownServers

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = "A1" * 20, "B2" * 20


def test_a_remembered_server_is_known(home: Path) -> None:
    """Also by the next process. At first, none is known."""
    assert KnownServers(home / "known").all() == {}
    KnownServers(home / "known").remember("http://one/", ONE)
    KnownServers(home / "known").remember("http://other/", OTHER)
    assert KnownServers(home / "known").all() == {"http://one/": ONE, "http://other/": OTHER}


def test_the_operator_may_write_it(home: Path) -> None:
    """With fingerprints as gpg prints them, blank lines, and no newline at the end."""
    shown = " ".join(ONE.lower()[i : i + 4] for i in range(0, 40, 4))
    (home / "known").write_text(f"\nhttp://one/ {shown}")
    known = KnownServers(home / "known")
    assert known.all() == {"http://one/": ONE}
    known.remember("http://other/", OTHER)
    assert known.all() == {"http://one/": ONE, "http://other/": OTHER}


@pytest.mark.parametrize("line", ["http://one/", f"http://one/ {ONE[:-1]}", "one two three"])
def test_a_malformed_line_makes_no_server_unknown(home: Path, line: str) -> None:
    """Otherwise, after a typing error, any next key would be trusted."""
    (home / "known").write_text(f"http://other/ {OTHER}\n{line}\n")
    with pytest.raises(KeyringError, match="expected lines of a URL and a fingerprint"):
        KnownServers(home / "known").all()


def test_a_link_is_not_followed(home: Path) -> None:
    """Others may be able to write its target."""
    (home / "elsewhere").write_text(f"http://one/ {ONE}\n")
    (home / "known").symlink_to(home / "elsewhere")
    with pytest.raises(KeyringError, match="links are not followed"):
        KnownServers(home / "known").all()
