"""Directories, made or only looked at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import host_checks
from pattoo_mp.util.files import denied
from tests.support.disks import shut, small
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(home: Path) -> Iterator[Path]:
    """A directory that everybody may use, with some that nobody may, and a file."""
    home.chmod(0o755)
    for name, mode in (("open", 0o777), ("closed", 0o755)):
        (home / name).mkdir()
        (home / name).chmod(mode)
    (home / "file").write_text("")
    (home / "shut" / "inside").mkdir(parents=True)
    (home / "shut").chmod(0o700 if os.geteuid() == 0 else 0o000)
    yield home
    (home / "shut").chmod(0o700)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("open", ""),
        ("open/new", ""),
        ("open/new/below/it", ""),
        ("closed", "cannot be written to (Permission denied)"),
        ("closed/new", "cannot be made (Permission denied)"),
        ("shut/inside", "cannot be made (Permission denied)"),
        ("shut/inside/new", "cannot be made (Permission denied)"),
        ("file", "cannot be made (File exists)"),
        ("file/below", "cannot be made (Not a directory)"),
    ],
)
def test_a_look_foretells_what_making_would_say(place: Path, name: str, problem: str) -> None:
    """For a user without rights; and the look itself makes nothing."""
    if os.geteuid() != 0:
        (place / "closed").chmod(0o555)  # ours, but not to be written to
    if problem.endswith("(Permission denied)"):
        problem += as_nobody(lambda: denied(place / name))
    before = contents(place)
    assert as_nobody(lambda: host_checks.directory_state(place / name).problem) == problem
    assert contents(place) == before
    assert as_nobody(lambda: host_checks.make_directory(place / name)) == problem


def test_a_file_system_that_is_read_only_is_named(home: Path) -> None:
    """It is no right that is missing; a look says it as well as a start."""
    with small(home / "disk") as disk:
        shut(disk)
        assert host_checks.make_directory(disk) == "cannot be written to (Read-only file system)"
        assert host_checks.make_directory(disk / "new") == "cannot be made (Read-only file system)"
        for path in (disk, disk / "new"):
            look = host_checks.directory_state(path)
            assert (look.problem, look.is_read_only) == (host_checks.make_directory(path), True)


def test_a_look_tells_what_is_there_from_what_would_be_made(place: Path) -> None:
    """Both can be used."""
    assert host_checks.directory_state(place / "open") == host_checks.State(is_there=True)
    assert host_checks.directory_state(place / "open" / "new") == host_checks.State(is_there=False)


def test_a_link_to_nowhere_is_no_place(place: Path) -> None:
    """It cannot be made, because it is there."""
    (place / "link").symlink_to(place / "nowhere")
    assert host_checks.directory_state(place / "link").problem == "cannot be made (File exists)"
    assert host_checks.make_directory(place / "link") == "cannot be made (File exists)"


def contents(directory: Path) -> list[Path]:
    """All that can be seen there."""
    return sorted(directory.rglob("*"))
