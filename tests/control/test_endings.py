"""How a run ended, by what it left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.control.run_directory import cut_short, forgive, run_below, tell
from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path


def run(home: Path, error: Exception | None = None) -> None:
    """A run that makes all that one makes, and ends; by an error, if there is one."""
    with run_below(home):
        StatusSocket(paths.status_socket(home)).close()
        if error is not None:
            raise error


def test_a_run_that_ends_in_order_is_not_told_of(home: Path) -> None:
    """It leaves an empty PID file, as it always did, and no socket."""
    assert cut_short(home) == 0
    run(home)
    assert cut_short(home) == 0
    assert paths.pid_file(home).read_text() == ""
    assert not paths.status_socket(home).exists()


def test_a_start_that_is_refused_is_not_told_of(home: Path) -> None:
    """A person was told why at once."""
    with pytest.raises(StartError):
        run(home, StartError("no spool"))
    assert cut_short(home) == 0


def test_a_run_that_crashed_is_told_of(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By its number; and its log has the traceback, for nobody may see its stderr."""
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    assert cut_short(home) == os.getpid()
    assert "Control ends by an error." in caplog.text
    assert "a defect" in caplog.text
    run(home)
    assert cut_short(home) == 0


def test_one_that_was_killed_before_it_listened_is_not_taken_for_another(home: Path) -> None:
    """The socket of the run before it speaks of that one alone."""
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    with pytest.raises(RuntimeError), run_below(home):
        raise RuntimeError("so soon")
    assert paths.pid_file(home).read_text() == f"{os.getpid()}\n"
    assert cut_short(home) == 0


def test_an_end_by_force_can_be_forgiven(home: Path) -> None:
    """Somebody asked for it. Where there is nothing to forgive, nothing happens."""
    forgive(home)
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    forgive(home)
    assert cut_short(home) == 0


@pytest.mark.parametrize("content", ["", "garbage", "-1\n", "1" * 100_000])
def test_a_pid_file_without_a_number_tells_nothing(home: Path, content: str) -> None:
    """Whoever wrote that, it was no control process."""
    paths.pid_file(home).parent.mkdir()
    paths.pid_file(home).write_text(content)
    StatusSocket(paths.status_socket(home)).close()
    assert cut_short(home) == 0


def test_a_pid_file_of_the_original_agent_tells_nothing(home: Path) -> None:
    """It leaves its number behind, and may well run; it never makes the socket."""
    paths.pid_file(home).parent.mkdir()
    paths.pid_file(home).write_text(f"{os.getpid()}\n")
    assert cut_short(home) == 0


def test_nothing_is_logged_of_a_run_that_ended_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """And one line of another."""
    tell(0)
    assert caplog.messages == []
    tell(7)
    assert [message.split(":")[0] for message in caplog.messages] == [
        "The last run (process 7) did not end in order"
    ]
