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
    """Where the log lies."""
    return tmp_path / "pattoo.log"


def contents(path: Path) -> dict[str, str]:
    """All files of a log."""
    return {file.name: file.read_text() for file in path.parent.iterdir()}


def test_at_its_size_it_is_renamed_and_the_oldest_goes(path: Path) -> None:
    """As many older ones are kept as were asked for."""
    for number in range(5):
        path.write_text(f"{number}")
        rotate(path, 3)
    assert contents(path) == {
        "pattoo.log": "", "pattoo.log.1": "4", "pattoo.log.2": "3", "pattoo.log.3": "2",
    }  # fmt: skip


def test_none_goes_before_its_turn_after_a_kill_in_the_middle(path: Path) -> None:
    """A number without a file is filled first."""
    for name in ("pattoo.log", "pattoo.log.2", "pattoo.log.3"):
        (path.parent / name).write_text(name)
    rotate(path, 3)
    assert contents(path) == {
        "pattoo.log": "", "pattoo.log.1": "pattoo.log",
        "pattoo.log.2": "pattoo.log.2", "pattoo.log.3": "pattoo.log.3",
    }  # fmt: skip


def test_the_new_file_may_be_used_by_whoever_used_the_old_one(path: Path) -> None:
    """Other pattoo programs may run as other users of its group."""
    path.write_text("x")
    path.chmod(0o664)
    rotate(path, 1)
    assert path.stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize(("size", "limit"), [(99, 100), (10_000, 0)])
def test_it_stays_where_it_is_below_its_limit_or_without_one(
    path: Path, size: int, limit: int
) -> None:
    """0 leaves it to logrotate."""
    path.write_text("x" * size)
    assert not Rotation(path, limit, 1).attempt()
    assert list(contents(path)) == ["pattoo.log"]


@contextmanager
def other_program(path: Path, mode: str, script: str = "") -> Iterator[int]:
    """A process that has the file open; its number. It is a session of its own."""
    opening = "import os, sys; f = open(sys.argv[1], sys.argv[2]);"
    with subprocess.Popen(
        [sys.executable, "-c", f"{opening} {script}\nprint(flush=True); input()", path, mode],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        other.stdout.readline()
        yield other.pid
        other.communicate(b"\n")


def looked_for_writers(path: Path) -> list[str]:
    """All who write to the file, by a look that is not interrupted."""
    return [writer for writer in writers(path) if writer]


def test_it_is_not_taken_from_another_program(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that writes to it is named; one that only reads it does no harm."""
    path.write_text("x" * 100)
    rotation = Rotation(path, 100, 1)
    with other_program(path, "a") as pid:
        wait_for(lambda: rotation.attempt() or caplog.text, what="a look")
        assert f"process {pid} (python" in caplog.text
    assert list(contents(path)) == ["pattoo.log"]
    rotation = Rotation(path, 100, 1)
    with other_program(path, "r"):
        wait_for(rotation.attempt, what="the rotation")


def test_another_program_is_found_by_whatever_way_it_came(path: Path, tmp_path: Path) -> None:
    """By a link to the directory; and not one that has another file of this name."""
    path.write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with (
        other_program(tmp_path / "link" / path.name, "a") as pid,
        other_program(tmp_path / "elsewhere" / path.name, "a"),
    ):
        assert [writer.split()[1] for writer in looked_for_writers(path)] == [str(pid)]


def test_files_of_others_are_not_asked_for_anything(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may lie on a file server that does not answer, and control would wait for it."""
    path.write_text("x")
    (path.parent / "theirs").write_text("")
    (path.parent / "elsewhere").mkdir()
    asked: list[str] = []

    def ask(name: str | Path | int, **more: Any) -> os.stat_result:  # noqa: ANN401 - as it is called
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
        assert len(looked_for_writers(path)) == 1
        monkeypatch.undo()
    assert {name.split("/")[2] for name in asked if name.startswith("/proc/")} == {str(writing)}


def test_a_host_with_many_descriptors_is_looked_at_bit_by_bit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control is not held for long; the file is rotated once all of them were seen."""
    monkeypatch.setattr(module, "_AT_ONCE", 10)
    monkeypatch.setattr(module, "_LOOK_S", 0)
    path.write_text("x" * 100)
    rotation = Rotation(path, 100, 1)
    attempts = 1
    with other_program(path.parent / "theirs", "a", "[os.dup(f.fileno()) for _ in range(50)]"):
        while not rotation.attempt():
            attempts += 1
            assert attempts < 100_000
    assert attempts > 5
    assert {"pattoo.log", "pattoo.log.1"} < contents(path).keys()


def test_what_cannot_be_rotated_grows_and_it_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent goes on."""
    path.write_text("x" * 100)
    path.with_name("pattoo.log.1").mkdir()
    (path.parent / "pattoo.log.1" / "full").touch()
    assert not Rotation(path, 100, 1).attempt()
    assert "is not rotated, and grows: " in caplog.text


def write_until(told: Path, path: Path, number: int) -> None:
    """Be a process that writes numbered lines as fast as it can, and how many at the end."""
    log.set_up(log.LogSettings(path), f"writer{number}")
    count = 0
    while not told.exists() and count < _MOST_LINES:
        _LOG.info("line %d of %d", count, number)
        count += 1
    _LOG.info("all %d of %d", count, number)


def test_under_load_from_three_processes_no_line_is_lost_or_doubled(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """While a fourth one rotates ten times; each line is whole."""
    told = tmp_path_factory.mktemp("told") / "enough"
    writers = []
    for number in range(_WRITERS):
        writers.append(os.fork())
        if writers[-1] == 0:
            write_until(told, path, number)
            os._exit(0)
    for _ in range(10):
        wait_for(lambda: path.exists() and path.stat().st_size > 10_000, what="many lines")
        rotate(path, 100)
    told.touch()
    assert [os.waitpid(pid, 0)[1] for pid in writers] == [0] * _WRITERS
    texts = [
        row.partition("] ")[2] for file in contents(path).values() for row in file.splitlines()
    ]
    counts = re.findall(r"^all (\d+) of (\d)$", "\n".join(texts), re.MULTILINE)
    expected = [f"all {count} of {number}" for count, number in counts]
    expected += [f"line {i} of {number}" for count, number in counts for i in range(int(count))]
    assert len(counts) == _WRITERS
    assert sorted(texts) == sorted(expected)
