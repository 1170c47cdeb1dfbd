"""Which servers are known, as a person may write it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.pattoo.encrypted.known import KnownServers

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = "A1" * 20, "B2" * 20


def test_what_is_remembered_is_known(home: Path) -> None:
    """To the next process too; nobody is known at first."""
    assert KnownServers(home / "known").all() == {}
    KnownServers(home / "known").remember("http://one/", ONE)
    KnownServers(home / "known").remember("http://other/", OTHER)
    assert KnownServers(home / "known").all() == {"http://one/": ONE, "http://other/": OTHER}


def test_a_person_may_write_it(home: Path) -> None:
    """With a fingerprint as gpg shows it, blank lines, and no end of the last line."""
    shown = " ".join(ONE.lower()[i : i + 4] for i in range(0, 40, 4))
    (home / "known").write_text(f"\nhttp://one/ {shown}")
    known = KnownServers(home / "known")
    assert known.all() == {"http://one/": ONE}
    known.remember("http://other/", OTHER)
    assert known.all() == {"http://one/": ONE, "http://other/": OTHER}


@pytest.mark.parametrize("line", ["http://one/", f"http://one/ {ONE[:-1]}", "one two three"])
def test_a_line_that_is_not_understood_makes_nobody_unknown(home: Path, line: str) -> None:
    """Or a slip of the pen would have the next key believed, whoever's it is."""
    (home / "known").write_text(f"http://other/ {OTHER}\n{line}\n")
    with pytest.raises(KeyringError, match="expected lines of a URL and a fingerprint"):
        KnownServers(home / "known").all()


def test_a_link_is_not_followed(home: Path) -> None:
    """It may lead to what another may write."""
    (home / "elsewhere").write_text(f"http://one/ {ONE}\n")
    (home / "known").symlink_to(home / "elsewhere")
    with pytest.raises(KeyringError, match="links are not followed"):
        KnownServers(home / "known").all()
