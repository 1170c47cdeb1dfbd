"""Directories of the agent, and what encrypted mode needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import host_checks
from pattoo_mp.util.files import path_permissions
from tests.support.disks import shut, small
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tree(home: Path) -> Iterator[Path]:
    """A directory with subdirectories of different permissions, and a file."""
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
def test_the_state_predicts_the_result_of_making(tree: Path, name: str, problem: str) -> None:
    """For an unprivileged user; and it changes nothing."""
    if os.geteuid() != 0:
        (tree / "closed").chmod(0o555)
    if problem.endswith("(Permission denied)"):
        problem += as_nobody(lambda: path_permissions(tree / name))
    before = contents(tree)
    assert as_nobody(lambda: host_checks.directory_state(tree / name).problem) == problem
    assert contents(tree) == before
    assert as_nobody(lambda: host_checks.make_directory(tree / name)) == problem


def test_a_read_only_file_system_is_the_reported_reason(home: Path) -> None:
    """Not a missing permission; the state says the same as a start."""
    with small(home / "disk") as disk:
        shut(disk)
        assert host_checks.make_directory(disk) == "cannot be written to (Read-only file system)"
        assert host_checks.make_directory(disk / "new") == "cannot be made (Read-only file system)"
        for path in (disk, disk / "new"):
            state = host_checks.directory_state(path)
            assert (state.problem, state.is_read_only) == (host_checks.make_directory(path), True)


def test_the_state_says_whether_the_directory_exists(tree: Path) -> None:
    """A directory that can be made has no problem either."""
    assert host_checks.directory_state(tree / "open") == host_checks.State(is_there=True)
    assert host_checks.directory_state(tree / "open" / "new") == host_checks.State(is_there=False)


def test_a_dangling_link_cannot_be_used(tree: Path) -> None:
    """A directory cannot be made where a link exists."""
    (tree / "link").symlink_to(tree / "nowhere")
    assert host_checks.directory_state(tree / "link").problem == "cannot be made (File exists)"
    assert host_checks.make_directory(tree / "link") == "cannot be made (File exists)"


def contents(directory: Path) -> list[Path]:
    """All visible paths below it."""
    return sorted(directory.rglob("*"))


# --- encrypted mode

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = (
    "from pattoo_mp.config.host_checks import missing_for_encryption as missing; print(missing())"
)
#: An interpreter without site-packages: it imports only from PYTHONPATH.
BARE = [sys.executable, "-S", "-c", SCRIPT]


def missing(*paths: Path) -> str:
    """What is missing if only these paths can be imported from."""
    path = os.pathsep.join(map(str, (ROOT, *paths)))
    done = subprocess.run(
        BARE, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_missing_library_is_named() -> None:
    """With the extra that installs it."""
    assert missing() == (
        "python-gnupg is not installed; expected the extra `encrypted` of pattoo_mp, "
        "or Debian's python3-gnupg"
    )


def test_another_library_of_the_same_name_is_not_accepted(home: Path) -> None:
    """The package `gnupg` is an old fork of python-gnupg with another interface."""
    (home / "gnupg").mkdir()
    (home / "gnupg" / "__init__.py").touch()
    assert missing(home).startswith("python-gnupg is not installed")
    (home / "gnupg" / "__init__.py").unlink()
    (home / "gnupg").rmdir()
    (home / "gnupg.py").touch()
    assert "python-gnupg" not in missing(home)


def test_a_missing_library_for_remote_write_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that installs it."""
    assert host_checks.missing_for_remote_write() == ""
    monkeypatch.delitem(sys.modules, "snappy", raising=False)
    monkeypatch.setattr("sys.path", [str(ROOT)])
    expected = (
        "python-snappy is not installed; expected the extra `remote-write` of pattoo_mp, "
        "or Debian's python3-snappy"
    )
    assert host_checks.missing_for_remote_write() == expected


@pytest.mark.parametrize("program", host_checks.PROGRAMS)
def test_a_missing_program_is_named(
    home: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them, if all others exist."""
    for name in host_checks.PROGRAMS:
        (home / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(home))
    assert host_checks.missing_for_encryption() == ""
    (home / program).unlink()
    assert host_checks.missing_for_encryption().startswith(
        f"there is no {program} in PATH; expected "
    )
