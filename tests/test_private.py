"""Files and directories of the agent's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import private

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_made_is_for_its_owner_alone(home: Path) -> None:
    """Directories 0700, files 0600."""
    private.make_directory(home / "a" / "b")
    os.close(private.open_file(home / "a" / "b" / "c", os.O_RDWR | os.O_CREAT))
    assert (home / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (home / "a" / "b" / "c").stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(home: Path) -> None:
    """Whatever it points to stays as it is."""
    (home / "theirs").write_text("untouched")
    (home / "link").symlink_to(home / "theirs")
    with pytest.raises(OSError, match="symbolic"):
        private.open_file(home / "link", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    assert (home / "theirs").read_text() == "untouched"


def test_a_directory_laid_out_for_us_in_a_public_place_is_refused(home: Path) -> None:
    """A link to a directory, where everybody may write; elsewhere it is the operator's choice."""
    (home / "theirs").mkdir()
    (home / "run").symlink_to(home / "theirs")
    private.make_directory(home / "run")
    home.chmod(0o1777)
    with pytest.raises(PermissionError):
        private.make_directory(home / "run")
    home.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_directory_of_somebody_else_in_a_public_place_is_refused(home: Path) -> None:
    """Its owner could change what lies in it."""
    (home / "run").mkdir()
    os.chown(home / "run", 65534, 65534)
    home.chmod(0o1777)
    with pytest.raises(PermissionError):
        private.make_directory(home / "run")
    home.chmod(0o700)


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_aside(home: Path) -> None:
    """The new one is for its owner alone, whatever the old one was."""
    (home / "note").write_text("old")
    (home / "note").chmod(0o644)
    private.replace_file(home / "note", "new")
    assert (home / "note").read_text() == "new"
    assert (home / "note").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["note"]
