"""Private files and directories, and explanations of denied access."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import where_and_why
from pattoo_mp.util import files, users
from tests.support.small import files_of_at_most
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[..., object]
    from collections.abc import Iterator


def test_files_and_directories_are_private(home: Path) -> None:
    """Directories 0700, files 0600."""
    files.make_directory(home / "a" / "b")
    os.close(files.open_file(home / "a" / "b" / "c", os.O_RDWR | os.O_CREAT))
    assert (home / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (home / "a" / "b" / "c").stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(home: Path) -> None:
    """The link's target stays unchanged."""
    (home / "theirs").write_text("untouched")
    (home / "link").symlink_to(home / "theirs")
    with pytest.raises(OSError, match="symbolic"):
        files.open_file(home / "link", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    assert (home / "theirs").read_text() == "untouched"


def test_a_link_to_a_directory_in_a_public_parent_is_refused(home: Path) -> None:
    """In a world-writable parent; elsewhere such a link is the operator's choice."""
    (home / "theirs").mkdir()
    (home / "run").symlink_to(home / "theirs")
    files.make_directory(home / "run")
    home.chmod(0o1777)
    with pytest.raises(PermissionError):
        files.make_directory(home / "run")
    home.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_another_users_directory_in_a_public_parent_is_refused(home: Path) -> None:
    """Its owner could change its content."""
    (home / "run").mkdir()
    os.chown(home / "run", 65534, 65534)
    home.chmod(0o1777)
    with pytest.raises(PermissionError):
        files.make_directory(home / "run")
    home.chmod(0o700)


@pytest.mark.parametrize("write", [files.replace_file, files.create_file])
def test_a_file_is_written_whole_and_no_temporary_file_stays(home: Path, write: Write) -> None:
    """It has the requested mode, whatever the umask is. The default is 0600."""
    before = os.umask(0o077)
    try:
        write(home / "note", "text")
        write(home / "for all", b"bytes", 0o644)
    finally:
        os.umask(before)
    assert (home / "note").read_text() == "text"
    assert (home / "note").stat().st_mode & 0o777 == 0o600
    assert (home / "for all").read_bytes() == b"bytes"
    assert (home / "for all").stat().st_mode & 0o777 == 0o644
    assert {path.name for path in home.iterdir()} == {"note", "for all"}


def test_an_existing_file_is_replaced_or_kept(home: Path) -> None:
    """`create_file` keeps an existing file, `replace_file` replaces it, mode and all."""
    (home / "note").write_text("old")
    (home / "note").chmod(0o644)
    assert not files.create_file(home / "note", "new")
    assert (home / "note").read_text() == "old"
    files.replace_file(home / "note", "new")
    assert (home / "note").read_text() == "new"
    assert (home / "note").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["note"]


@pytest.mark.parametrize("write", [files.replace_file, files.create_file])
def test_a_full_disk_leaves_no_temporary_file(home: Path, write: Write) -> None:
    """A supervisor that retries would add a file each time. The error names the file."""
    with files_of_at_most(2), pytest.raises(OSError, match="too large") as failed:
        write(home / "note", "text")
    assert failed.value.filename == str(home / "note")
    assert list(home.iterdir()) == []


def test_a_directory_of_that_name_leaves_no_temporary_file(home: Path) -> None:
    """The target is a directory."""
    (home / "note").mkdir()
    with pytest.raises(IsADirectoryError) as failed:
        files.replace_file(home / "note", "text")
    assert failed.value.filename == str(home / "note")
    assert [path.name for path in home.iterdir()] == ["note"]


def test_a_temporary_file_left_by_a_kill_is_replaced(home: Path) -> None:
    """In a container the next process has the same id. A link with that name is not followed."""
    aside = home / f".note.{os.getpid()}"
    for leave in (lambda: aside.write_text("half"), lambda: aside.symlink_to(home / "theirs")):
        leave()
        files.replace_file(home / "note", "text")
        assert [path.name for path in home.iterdir()] == ["note"]


@pytest.mark.parametrize("write", [files.replace_file, files.create_file])
def test_the_directory_is_synced(home: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is synced after the rename or link."""
    synced: list[tuple[Path, bool]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path, (home / "note").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write(home / "note", "text")
    assert synced == [(home / f".note.{os.getpid()}", False), (home, True)]


# --- explanations of denied access

ME = users.user_name(os.geteuid())
#: The user that `as_nobody` runs as.
US = "nobody" if os.geteuid() == 0 else ME


@pytest.fixture
def shut(home: Path) -> Iterator[Path]:
    """A directory of ours that an unprivileged user cannot enter, with another inside."""
    home.chmod(0o755)
    (home / "shut" / "inside").mkdir(parents=True)
    (home / "shut").chmod(0o700 if os.geteuid() == 0 else 0o000)
    yield home / "shut"
    (home / "shut").chmod(0o700)


def mode(path: Path) -> str:
    """The mode as messages show it."""
    return f"{path.stat().st_mode & 0o7777:04o}"


def test_path_permissions_name_our_user_and_the_owner(shut: Path) -> None:
    """The mode is shown as well: it explains a refusal to the owner."""
    text = as_nobody(lambda: files.path_permissions(shut))
    assert text == f", as {US}: {ME} owns it (mode {mode(shut)})"


@pytest.mark.parametrize("below", ["inside", "inside/further", "not there"])
def test_path_permissions_name_the_closed_directory(shut: Path, below: str) -> None:
    """It is the nearest parent that can be seen."""
    text = as_nobody(lambda: files.path_permissions(shut / below))
    assert text == f", as {US}: {ME} owns {shut} (mode {mode(shut)})"


def test_only_permission_errors_name_the_owner(shut: Path) -> None:
    """Other errors do not: that would distract from the cause."""

    def error_text(path: Path) -> str:
        try:
            (path / "x").stat()
        except OSError as error:
            return where_and_why(error)
        return "seen"

    assert as_nobody(lambda: error_text(shut)).startswith(f"{shut}/x: Permission denied, as {US}: ")
    assert error_text(shut.parent) == f"{shut.parent}/x: No such file or directory"


def test_process_owner_names_our_user_and_the_process_user() -> None:
    """For a process that is gone, only our user is named."""
    assert files.process_owner(os.getpid()) == f", as {ME}: {ME} runs it"
    assert files.process_owner(2**22 + 1) == f", as {ME}"


def test_a_user_without_a_name_is_shown_as_a_number() -> None:
    """As in many containers."""
    assert users.user_name(54321) == "54321"
