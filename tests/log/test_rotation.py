"""Rotation by size and count."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import log
from pattoo_mp.log.rotation import Rotation, rotate
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger("pattoo_mp.test")
_WRITERS = 3
_LINES = 1500


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


def test_it_is_not_taken_from_another_program(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that writes to it is named; one that only reads it does no harm."""
    path.write_text("x" * 100)
    script = "import sys; f = open(sys.argv[1], sys.argv[2]); print(flush=True); input()"
    for mode, rotated in (("a", False), ("r", True)):
        with subprocess.Popen(
            [sys.executable, "-c", script, path, mode],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        ) as other:  # fmt: skip
            assert other.stdout is not None
            other.stdout.readline()
            assert Rotation(path, 100, 1).attempt() is rotated
            other.communicate(b"\n")
        if not rotated:
            assert f"process {other.pid} (python" in caplog.text


def test_what_cannot_be_rotated_grows_and_it_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent goes on."""
    path.write_text("x" * 100)
    path.with_name("pattoo.log.1").mkdir()
    (path.parent / "pattoo.log.1" / "full").touch()
    assert not Rotation(path, 100, 1).attempt()
    assert "is not rotated, and grows: " in caplog.text


def write_all(path: Path, number: int) -> None:
    """Be a process that writes numbered lines as fast as it can."""
    log.set_up(log.LogSettings(path), f"writer{number}")
    for i in range(_LINES):
        _LOG.info("line %d of %d", i, number)


def test_under_load_from_three_processes_no_line_is_lost_or_doubled(path: Path) -> None:
    """While a fourth one rotates all the time; each line is whole."""
    writers = []
    for number in range(_WRITERS):
        writers.append(os.fork())
        if writers[-1] == 0:
            write_all(path, number)
            os._exit(0)
    rotations = 0

    def done() -> bool:
        nonlocal rotations
        if path.exists() and path.stat().st_size > 10_000:
            rotate(path, 100)
            rotations += 1
        writers[:] = [pid for pid in writers if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        return not writers

    wait_for(done, 60, "the end of the writers")
    assert rotations > 3
    texts = [
        row.partition("] ")[2] for file in contents(path).values() for row in file.splitlines()
    ]
    expected = [f"line {i} of {number}" for number in range(_WRITERS) for i in range(_LINES)]
    assert sorted(texts) == sorted(expected)
