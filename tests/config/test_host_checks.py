"""Directories, made or only looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import host_checks
from pattoo_mp.util.files import denied
from tests.support.disks import shut, small
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from collections.abc import Iterator


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


# What encrypted mode needs of a host.

ROOT = Path(__file__).resolve().parents[2]
#: An interpreter that has nothing installed but what its path names.
LOOK = (
    "from pattoo_mp.config.host_checks import missing_for_encryption as missing; print(missing())"
)
BARE = [sys.executable, "-S", "-c", LOOK]


def missing(*paths: Path) -> str:
    """What is missing where there is this to import."""
    path = os.pathsep.join(map(str, (ROOT, *paths)))
    done = subprocess.run(
        BARE, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_library_that_is_missing_is_named() -> None:
    """With the extra that brings it."""
    assert missing() == "python-gnupg is not installed; expected the extra `encrypted` of pattoo_mp"


def test_another_library_of_that_name_is_not_taken_for_it(home: Path) -> None:
    """The package `gnupg` is a fork from before python-gnupg was mended; it is called otherwise."""
    (home / "gnupg").mkdir()
    (home / "gnupg" / "__init__.py").touch()
    assert missing(home).startswith("python-gnupg is not installed")
    (home / "gnupg" / "__init__.py").unlink()
    (home / "gnupg").rmdir()
    (home / "gnupg.py").touch()
    assert "python-gnupg" not in missing(home)


@pytest.mark.parametrize("program", host_checks.PROGRAMS)
def test_a_program_that_is_missing_is_named(
    home: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them, where the others are there."""
    for name in host_checks.PROGRAMS:
        (home / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(home))
    assert host_checks.missing_for_encryption() == ""
    (home / program).unlink()
    assert host_checks.missing_for_encryption().startswith(
        f"there is no {program} in PATH; expected "
    )
