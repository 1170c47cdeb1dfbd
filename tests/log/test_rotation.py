"""Rotation by size and count."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp import log
from pattoo_mp.log import rotation as module
from pattoo_mp.log.rotation import Rotation, rotate, writers
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger("pattoo_mp.test")
_WRITERS = 3
_MOST_LINES = 50_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the log."""
    return tmp_path / "pattoo.log"


def contents(path: Path) -> dict[str, str]:
    """The content of the log and of its backups."""
    return {file.name: file.read_text() for file in path.parent.iterdir()}


def test_rotation_renames_each_file_and_deletes_the_oldest(path: Path) -> None:
    """The requested number of backups is kept."""
    for number in range(5):
        path.write_text(f"{number}")
        rotate(path, 3)
    assert contents(path) == {
        "pattoo.log": "", "pattoo.log.1": "4", "pattoo.log.2": "3", "pattoo.log.3": "2",
    }  # fmt: skip


def test_no_backup_is_deleted_early_after_a_kill(path: Path) -> None:
    """The gap in the numbers is filled first."""
    for name in ("pattoo.log", "pattoo.log.2", "pattoo.log.3"):
        (path.parent / name).write_text(name)
    rotate(path, 3)
    assert contents(path) == {
        "pattoo.log": "", "pattoo.log.1": "pattoo.log",
        "pattoo.log.2": "pattoo.log.2", "pattoo.log.3": "pattoo.log.3",
    }  # fmt: skip


def test_the_new_file_has_the_mode_of_the_old_one(path: Path) -> None:
    """Other pattoo programs may run as other users in its group."""
    path.write_text("x")
    path.chmod(0o664)
    rotate(path, 1)
    assert path.stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize(("size", "limit"), [(99, 100), (10_000, 0)])
def test_no_rotation_below_the_limit_or_without_one(path: Path, size: int, limit: int) -> None:
    """A limit of 0 means never."""
    path.write_text("x" * size)
    assert not Rotation(path, limit, 1).attempt()
    assert list(contents(path)) == ["pattoo.log"]


@contextmanager
def other_program(path: Path, mode: str, script: str = "") -> Iterator[int]:
    """Run a process in its own session that has the file open; its id."""
    opening = "import os, sys; f = open(sys.argv[1], sys.argv[2]);"
    with subprocess.Popen(
        [sys.executable, "-c", f"{opening} {script}\nprint(flush=True); input()", path, mode],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        other.stdout.readline()
        yield other.pid
        other.communicate(b"\n")


def found_writers(path: Path) -> list[str]:
    """All writers of the file, in one search."""
    return [writer for writer in writers(path) if writer]


def test_a_file_with_another_writer_is_not_rotated(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A writer is named in the log. A reader does not matter."""
    path.write_text("x" * 100)
    rotation = Rotation(path, 100, 1)
    with other_program(path, "a") as pid:
        wait_for(lambda: rotation.attempt() or caplog.text, what="the search")
        assert f"process {pid} (python" in caplog.text
    assert list(contents(path)) == ["pattoo.log"]
    rotation = Rotation(path, 100, 1)
    with other_program(path, "r"):
        wait_for(rotation.attempt, what="the rotation")


def test_another_writer_is_found_whatever_path_it_used(path: Path, tmp_path: Path) -> None:
    """It may have used a link to the directory. A file of the same name elsewhere does not count."""
    path.write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with (
        other_program(tmp_path / "link" / path.name, "a") as pid,
        other_program(tmp_path / "elsewhere" / path.name, "a"),
    ):
        assert [writer.split()[1] for writer in found_writers(path)] == [str(pid)]


def test_the_search_touches_no_other_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be on a file server that hangs, which would block control."""
    path.write_text("x")
    (path.parent / "theirs").write_text("")
    (path.parent / "elsewhere").mkdir()
    asked: list[str] = []

    def ask(name: str | Path | int, **more: Any) -> os.stat_result:  # noqa: ANN401 - the signature of os.stat
        if more.get("follow_symlinks", True):
            asked.append(str(name))
        return stat(name, **more)

    stat = os.stat
    with (
        other_program(path, "a") as writing,
        other_program(path.parent / "theirs", "a"),
        other_program(path.parent / "elsewhere" / path.name, "a"),
    ):
        monkeypatch.setattr(os, "stat", ask)
        assert len(found_writers(path)) == 1
        monkeypatch.undo()
    assert {name.split("/")[2] for name in asked if name.startswith("/proc/")} == {str(writing)}


def test_the_search_is_split_on_a_host_with_many_descriptors(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt is short. The file is rotated once the search is complete."""
    monkeypatch.setattr(module, "_AT_ONCE", 10)
    monkeypatch.setattr(module, "_CHECK_S", 0)
    path.write_text("x" * 100)
    rotation = Rotation(path, 100, 1)
    attempts = 1
    with other_program(path.parent / "theirs", "a", "[os.dup(f.fileno()) for _ in range(50)]"):
        while not rotation.attempt():
            attempts += 1
            assert attempts < 100_000
    assert attempts > 5
    assert {"pattoo.log", "pattoo.log.1"} < contents(path).keys()


def test_a_failed_rotation_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The attempt does not raise."""
    path.write_text("x" * 100)
    path.with_name("pattoo.log.1").mkdir()
    (path.parent / "pattoo.log.1" / "full").touch()
    assert not Rotation(path, 100, 1).attempt()
    assert "cannot be rotated and keeps growing: " in caplog.text


def write_until(enough: Path, path: Path, number: int) -> None:
    """Write numbered lines as fast as possible, and at the end their number."""
    log.set_up(log.LogSettings(path), f"writer{number}")
    count = 0
    while not enough.exists() and count < _MOST_LINES:
        _LOG.info("line %d of %d", count, number)
        count += 1
    _LOG.info("all %d of %d", count, number)


def test_no_line_is_lost_or_doubled_under_load(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """While a fourth process rotates ten times. Each line is whole."""
    enough = tmp_path_factory.mktemp("flag") / "enough"
    writers = []
    for number in range(_WRITERS):
        writers.append(os.fork())
        if writers[-1] == 0:
            write_until(enough, path, number)
            os._exit(0)
    for _ in range(10):
        wait_for(lambda: path.exists() and path.stat().st_size > 10_000, what="many lines")
        rotate(path, 100)
    enough.touch()
    assert [os.waitpid(pid, 0)[1] for pid in writers] == [0] * _WRITERS
    texts = [
        row.partition("] ")[2] for file in contents(path).values() for row in file.splitlines()
    ]
    counts = re.findall(r"^all (\d+) of (\d)$", "\n".join(texts), re.MULTILINE)
    expected = [f"all {count} of {number}" for count, number in counts]
    expected += [f"line {i} of {number}" for count, number in counts for i in range(int(count))]
    assert len(counts) == _WRITERS
    assert sorted(texts) == sorted(expected)
