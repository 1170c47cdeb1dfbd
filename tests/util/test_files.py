"""Files and directories of the agent's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import where_and_why
from pattoo_mp.util import files
from tests.support.small import files_of_at_most
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[..., object]
    from collections.abc import Iterator


def test_what_is_made_is_for_its_owner_alone(home: Path) -> None:
    """Directories 0700, files 0600."""
    files.make_directory(home / "a" / "b")
    os.close(files.open_file(home / "a" / "b" / "c", os.O_RDWR | os.O_CREAT))
    assert (home / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (home / "a" / "b" / "c").stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(home: Path) -> None:
    """Whatever it points to stays as it is."""
    (home / "theirs").write_text("untouched")
    (home / "link").symlink_to(home / "theirs")
    with pytest.raises(OSError, match="symbolic"):
        files.open_file(home / "link", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    assert (home / "theirs").read_text() == "untouched"


def test_a_directory_laid_out_for_us_in_a_public_place_is_refused(home: Path) -> None:
    """A link to a directory, where everybody may write; elsewhere it is the operator's choice."""
    (home / "theirs").mkdir()
    (home / "run").symlink_to(home / "theirs")
    files.make_directory(home / "run")
    home.chmod(0o1777)
    with pytest.raises(PermissionError):
        files.make_directory(home / "run")
    home.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_directory_of_somebody_else_in_a_public_place_is_refused(home: Path) -> None:
    """Its owner could change what lies in it."""
    (home / "run").mkdir()
    os.chown(home / "run", 65534, 65534)
    home.chmod(0o1777)
    with pytest.raises(PermissionError):
        files.make_directory(home / "run")
    home.chmod(0o700)


@pytest.mark.parametrize("write", [files.replace_file, files.create_file])
def test_a_file_is_written_as_a_whole_and_nothing_is_left_aside(home: Path, write: Write) -> None:
    """It has the mode that was asked for, whatever the umask is: at first, its owner's alone."""
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


def test_what_was_there_is_replaced_or_stays(home: Path) -> None:
    """By which of the two it is written; a mode that others gave it goes with the old file."""
    (home / "note").write_text("old")
    (home / "note").chmod(0o644)
    assert not files.create_file(home / "note", "new")
    assert (home / "note").read_text() == "old"
    files.replace_file(home / "note", "new")
    assert (home / "note").read_text() == "new"
    assert (home / "note").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["note"]


@pytest.mark.parametrize("write", [files.replace_file, files.create_file])
def test_a_disk_without_room_leaves_nothing_aside(home: Path, write: Write) -> None:
    """A supervisor that tries again and again would add a file each time. The error names the file."""
    with files_of_at_most(2), pytest.raises(OSError, match="too large") as failed:
        write(home / "note", "text")
    assert failed.value.filename == str(home / "note")
    assert list(home.iterdir()) == []


def test_what_is_in_the_way_leaves_nothing_aside(home: Path) -> None:
    """A directory has the name."""
    (home / "note").mkdir()
    with pytest.raises(IsADirectoryError) as failed:
        files.replace_file(home / "note", "text")
    assert failed.value.filename == str(home / "note")
    assert [path.name for path in home.iterdir()] == ["note"]


def test_what_a_kill_left_aside_is_in_nobodys_way(home: Path) -> None:
    """In a container the next process has the same number; nor is a link of that name followed."""
    aside = home / f".note.{os.getpid()}"
    for leave in (lambda: aside.write_text("half"), lambda: aside.symlink_to(home / "theirs")):
        leave()
        files.replace_file(home / "note", "text")
        assert [path.name for path in home.iterdir()] == ["note"]


@pytest.mark.parametrize("write", [files.replace_file, files.create_file])
def test_the_name_of_a_file_that_was_written_lasts(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is synced, and after the name was given."""
    synced: list[tuple[Path, bool]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path, (home / "note").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write(home / "note", "text")
    assert synced == [(home / f".note.{os.getpid()}", False), (home, True)]


# Who we are, and whose a file is.

ME = files.user_name(os.geteuid())
#: Whom `as_nobody` asks.
US = "nobody" if os.geteuid() == 0 else ME


@pytest.fixture
def shut(home: Path) -> Iterator[Path]:
    """A directory that is ours, and closed to who has no rights, with another inside."""
    home.chmod(0o755)
    (home / "shut" / "inside").mkdir(parents=True)
    (home / "shut").chmod(0o700 if os.geteuid() == 0 else 0o000)
    yield home / "shut"
    (home / "shut").chmod(0o700)


def mode(path: Path) -> str:
    """As a line has it."""
    return f"{path.stat().st_mode & 0o7777:04o}"


def test_who_owns_it_is_told_beside_who_asks(shut: Path) -> None:
    """With the mode, which says more where the two are the same."""
    told = as_nobody(lambda: files.denied(shut))
    assert told == f", as {US}: {ME} owns it (mode {mode(shut)})"


@pytest.mark.parametrize("below", ["inside", "inside/further", "not there"])
def test_what_is_in_the_way_is_named(shut: Path, below: str) -> None:
    """It is the last directory that can be seen: whatever lies there is hidden by it, or not there."""
    told = as_nobody(lambda: files.denied(shut / below))
    assert told == f", as {US}: {ME} owns {shut} (mode {mode(shut)})"


def test_an_error_of_rights_alone_asks_whose_it_is(shut: Path) -> None:
    """No other does: it would lead away from the cause."""

    def told(path: Path) -> str:
        try:
            (path / "x").stat()
        except OSError as error:
            return where_and_why(error)
        return "seen"

    assert as_nobody(lambda: told(shut)).startswith(f"{shut}/x: Permission denied, as {US}: ")
    assert told(shut.parent) == f"{shut.parent}/x: No such file or directory"


def test_who_runs_a_process_is_told() -> None:
    """And of one that is gone at least who asks."""
    assert files.not_ours(os.getpid()) == f", as {ME}: {ME} runs it"
    assert files.not_ours(2**22 + 1) == f", as {ME}"


def test_a_user_without_a_name_is_a_number() -> None:
    """As in a container."""
    assert files.user_name(54321) == "54321"
