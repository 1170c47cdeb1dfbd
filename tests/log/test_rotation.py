"""Rotation by size and count."""

from __future__ import annotations

import logging
import os
import re
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
