"""Reading the log: its end, by level, and on through rotations."""

from __future__ import annotations

import logging
import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.log import reading
from pattoo_mp.log.line import Line, json_lines, text
from pattoo_mp.log.reading import LogReader, level_of

if TYPE_CHECKING:
    from pathlib import Path


def line(number: int, level: int = logging.INFO, traceback: str = "") -> str:
    """Return a line as the agent writes it."""
    what = f"Line {number}."
    return text("control")(Line(1_800_000_000 + number, level, "x", what, what, traceback))


def rest(reader: LogReader) -> list[str]:
    """Return all that there is to read for now."""
    found = reader.read()
    while not reader.is_at_end:
        found += reader.read()
    return found


def last(path: Path, records: int, least: int = 0) -> str:
    """Return the end of a log."""
    reader = LogReader(path, least)
    reader.begin(records)
    return "\n".join([*rest(reader), *reader.finish()])


def numbers(shown: str) -> list[int]:
    """Return the numbers of the lines that were shown."""
    return [int(part.partition(".")[0]) for part in shown.split("Line ")[1:]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a log."""
    return tmp_path / "pattoo.log"


def test_the_last_records_are_found_across_rotated_files(path: Path) -> None:
    """The newest file may have just been begun."""
    path.write_text(line(6))
    path.with_name("pattoo.log.1").write_text(line(4) + line(5))
    path.with_name("pattoo.log.2").write_text("".join(map(line, range(4))))
    assert numbers(last(path, 1)) == [6]
    assert numbers(last(path, 5)) == [2, 3, 4, 5, 6]
    assert numbers(last(path, 100)) == list(range(7))
    assert last(path, 0) == ""


def test_a_log_that_was_renamed_and_not_begun_again_is_shown(path: Path) -> None:
    """As after a rotation of a stopped agent's log; and what is then added is, too."""
    path.with_name("pattoo.log.1").write_text(line(4) + line(5))
    assert numbers(last(path, 1)) == [5]
    reader = LogReader(path)
    reader.begin(2)
    assert numbers("\n".join(rest(reader))) == [4, 5]
    path.write_text(line(6))
    found = rest(reader)
    while not found:
        found = rest(reader)
    assert numbers("\n".join([*found, *reader.finish()])) == [6]


def test_a_traceback_stays_with_its_record(path: Path) -> None:
    """With a level, too; it is one record, whatever its lines are."""
    trace = "Traceback (most recent call last):\n  File x\nValueError: bad"
    path.write_text(line(1) + line(2, logging.ERROR, trace) + line(3) + line(4, logging.WARNING))
    shown = last(path, 10, logging.WARNING)
    assert numbers(shown) == [2, 4]
    assert "\nValueError: bad\n" in shown
    assert numbers(last(path, 1, logging.ERROR)) == [2]


def test_lines_of_the_original_and_json_have_levels() -> None:
    """Other pattoo programs write into the same file."""
    assert level_of(b"2026-11-24 03:12:09,481 - pattoo_console - WARNING - text") == logging.WARNING
    written = json_lines("control")(Line(0.0, logging.ERROR, "x", "m", "m"))
    assert level_of(written.encode()) == logging.ERROR
    assert level_of(b"  WARNING of a traceback") is None


def test_a_last_line_without_an_end_is_shown(path: Path) -> None:
    """As a full disk leaves it."""
    path.write_text(f"{line(1)}{line(2)[:-1]}")
    assert numbers(last(path, 2)) == [1, 2]


def test_what_could_control_a_terminal_is_escaped(path: Path) -> None:
    """And JSON stays JSON."""
    path.write_bytes(line(1).encode().replace(b"1.", b"1.\x1b[2J\xff") + b'{"time": "\xc2\x9b"}\n')
    assert last(path, 2).split("\n") == [
        line(1)[:-1].replace("1.", "1.\\x1b[2J\\xff"),
        '{"time": "\\u009b"}',
    ]


def test_a_large_log_is_read_from_its_end_in_little_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sparse file of 4 GB the end is shown, and what was not searched is told."""
    monkeypatch.setattr(reading, "SEARCHED_BYTES", 4 << 20)
    path.with_name("pattoo.log.1").write_text(line(0))
    with path.open("wb") as file:
        file.truncate(4 << 30)
        file.seek(0, os.SEEK_END)
        file.write(("\n" + line(1) + line(2)).encode())
    tracemalloc.start()
    reader = LogReader(path)
    reader.begin(100)
    shown = rest(reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert numbers("\n".join(shown)) == [1, 2]
    assert reader.is_cut
    assert peak < 8 << 20


def test_an_endless_line_is_cut(path: Path) -> None:
    """Whoever wrote it, it is neither kept whole nor printed whole; the next line is whole again."""
    path.write_text(line(1) + "x" * 5_000_000 + "\n" + line(2))
    shown = last(path, 10)
    assert numbers(shown) == [1, 2]
    assert "… (cut here)" in shown
    assert len(shown) < 200_000


def test_reading_goes_on_through_rotations(path: Path) -> None:
    """Two at once, and a line that a process still wrote into the renamed file."""
    path.write_text(line(1))
    reader = LogReader(path)
    reader.begin(10)
    assert numbers("\n".join(rest(reader))) == [1]
    path.rename(path.with_name("pattoo.log.2"))
    path.with_name("pattoo.log.1").write_text(line(3))
    path.write_text(line(4))
    assert rest(reader) == []
    with path.with_name("pattoo.log.2").open("a") as late:
        late.write(line(2))
    shown = rest(reader) + rest(reader)
    assert numbers("\n".join(shown)) == [2, 3, 4]


def test_reading_goes_on_after_a_truncation_and_a_late_beginning(path: Path) -> None:
    """As logrotate's copytruncate, and an agent that starts later."""
    reader = LogReader(path)
    with pytest.raises(FileNotFoundError):
        reader.begin(10)
    assert rest(reader) == []
    path.write_text(line(1) + line(2))
    assert numbers("\n".join(rest(reader))) == [1, 2]
    path.write_text(line(3))
    assert numbers("\n".join(rest(reader))) == [3]
    path.unlink()
    assert rest(reader) == []
    path.write_text(line(4))
    assert numbers("\n".join(rest(reader) + rest(reader))) == [4]


def test_only_a_regular_file_is_read(path: Path) -> None:
    """Neither a link, which could lead root to another file, nor a named pipe, which would hang."""
    (path.parent / "other").write_text("secret")
    path.symlink_to(path.parent / "other")
    with pytest.raises(OSError, match="symbolic link"):
        LogReader(path).begin(1)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        LogReader(path).begin(1)
