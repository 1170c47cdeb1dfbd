"""Writing lines where nothing, or not everything, can be written."""

from __future__ import annotations

import os
import resource
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.log.outlets import LogFile, Stream
from tests.log.records import line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.log.line import Line


def plain(what: Line) -> str:
    """Nothing but the message."""
    return f"{what.message}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log lies."""
    return tmp_path / "pattoo.log"


@pytest.fixture
def file(path: Path) -> Iterator[LogFile]:
    """An outlet to it."""
    made = LogFile(path, plain)
    yield made
    made.close()


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size`: the kernel's stand-in for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("by", ["rename", "unlink"])
def test_a_file_that_was_moved_away_is_left_with_the_next_line(
    file: LogFile, path: Path, by: str
) -> None:
    """Also without a signal: whoever rotates, the next line is where a person looks."""
    file.put(line("one"))
    if by == "rename":
        path.rename(f"{path}.1")
    else:
        path.unlink()
    file.put(line("two"))
    assert path.read_text() == "two\n"


def test_a_renamed_file_is_written_to_while_no_other_can_be_made(file: LogFile, path: Path) -> None:
    """A line that can be found is better than none."""
    file.put(line("one"))
    moved = path.rename(f"{path}.1")
    path.mkdir()
    file.put(line("two"))
    assert moved.read_text() == "one\ntwo\n"
    assert file.lost == 0


def test_a_directory_that_was_removed_is_made_again(file: LogFile, path: Path) -> None:
    """For the agent's user alone, as at the start."""
    file.put(line("one"))
    path.unlink()
    path.parent.rmdir()
    file.put(line("two"))
    assert path.read_text() == "two\n"
    assert path.parent.stat().st_mode & 0o777 == 0o700


def obstruct_by_a_directory(path: Path) -> None:
    """Lay a directory in its place."""
    path.mkdir()


def obstruct_by_a_link(path: Path) -> None:
    """Lay a link in its place."""
    path.symlink_to("/dev/null")


def obstruct_by_a_fifo(path: Path) -> None:
    """Lay a FIFO in its place that nobody reads."""
    os.mkfifo(path)


@pytest.mark.parametrize(
    "obstruct", [obstruct_by_a_directory, obstruct_by_a_link, obstruct_by_a_fifo]
)
def test_what_cannot_be_written_is_counted_and_told_once_it_can(
    file: LogFile, path: Path, obstruct: Callable[[Path], None]
) -> None:
    """With the reason; before the first line that can be written."""
    obstruct(path)
    file.put(line("one"))
    file.put(line("two"))
    assert file.lost == 2
    subprocess.run(["rm", "-r", path], check=True)
    file.put(line("three"))
    told, three = path.read_text().splitlines()
    assert told.startswith("2 lines could not be written here: ")
    assert three == "three"
    assert file.lost == 0


def test_after_a_full_disk_each_line_is_whole_again(file: LogFile, path: Path) -> None:
    """Half a line that found no room does not spoil the next."""
    with room_for(6):
        file.put(line("one"))
        file.put(line("two"))
    file.put(line("three"))
    assert path.read_text().splitlines() == [
        "one", "tw", "1 line could not be written here: File too large.", "three",
    ]  # fmt: skip


def test_a_stream_that_nobody_reads_holds_nobody_up() -> None:
    """A supervisor that is stopped: what finds no room is counted, and told when it reads again."""
    reading, writing = os.pipe()
    stream = Stream(writing, plain)
    for _ in range(100):
        stream.put(line("x" * 1000))
    lost = stream.lost
    assert lost > 30
    while len(os.read(reading, 65536)) == 65536:
        pass
    stream.put(line("again"))
    told, again = os.read(reading, 65536).decode().splitlines()[-2:]
    assert told.startswith(f"{lost} lines could not be written here: nobody reads it")
    assert again == "again"
    os.close(reading)
    stream.put(line("nobody"))
    assert stream.lost == 1
    os.close(writing)
