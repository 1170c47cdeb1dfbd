"""The configuration, read by a process that goes away."""

from __future__ import annotations

import logging
import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.config import isolated, load
from pattoo_mp.errors import ConfigError
from tests.support.agent import Agent
from tests.support.configs import config_in
from tests.support.hanging import file_hangs
from tests.support.unprivileged import as_nobody
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def files(home: Path) -> Iterator[Path]:
    """The directory of a configuration that is in order; no process is left of who read it."""
    yield Agent(home).configuration
    assert psutil.Process().children() == []


def test_it_is_what_a_reading_of_our_own_finds(files: Path) -> None:
    """Value by value; the directories are made."""
    found = isolated.load(files)
    assert found == load.check(files)
    assert found.log_directory.is_dir()


def test_the_directory_of_the_agent_is_found_though_all_else_is_wrong(files: Path) -> None:
    """A broken setting must keep nobody from a stop."""
    directory = load.load(files).system_daemon_directory
    text = (files / "pattoo.yaml").read_text()
    (files / "pattoo.yaml").write_text(text.replace("ip_bind_port: 9", "ip_bind_port: none"))
    assert isolated.read_system_daemon_directory(files) == directory


def test_a_check_makes_nothing(files: Path) -> None:
    """It says what `load` would."""
    assert not isolated.check(files).log_directory.exists()


def test_what_is_wrong_is_told_as_by_a_reading_of_our_own(files: Path) -> None:
    """All lines of it."""
    (files / "pattoo.yaml").write_text("pattoo:\n  log_level: loud\n")
    with pytest.raises(ConfigError) as ours:
        load.check(files)
    with pytest.raises(ConfigError) as caught:
        isolated.load(files)
    assert caught.value.problems == ours.value.problems


def test_what_changes_is_named(files: Path) -> None:
    """And what may not is refused, with the same lines."""
    running = load.load(files)
    text = (files / "pattoo.yaml").read_text()
    (files / "pattoo.yaml").write_text(text.replace("ip_bind_port: 9", "ip_bind_port: 19"))
    new, changed = isolated.wait_for_result(isolated.begin_reload(files, running))
    assert (new.ip_bind_port, changed) == (19, ("ip_bind_port",))
    elsewhere = config_in(files.parent / "elsewhere")
    with pytest.raises(ConfigError) as ours:
        load.check_reload(files, elsewhere)
    with pytest.raises(ConfigError) as caught:
        isolated.wait_for_result(isolated.begin_reload(files, elsewhere))
    assert caught.value.problems == ours.value.problems


def test_files_that_hang_are_not_waited_for(files: Path) -> None:
    """One line says which."""
    with file_hangs(files / "pattoo.yaml"), pytest.raises(ConfigError) as caught:
        isolated.load(files, within_s=0.2)
    assert caught.value.problems == (
        f"{files}: no answer within 0.2 s; expected files that can be read",
    )


def test_who_asks_need_not_wait(files: Path) -> None:
    """Nothing is there until all is there; one that is ended goes when the kernel lets it."""
    running = load.load(files)
    with file_hangs(files / "pattoo.yaml") as let_go:
        asked = isolated.begin_reload(files, running)
        assert asked.take() is None
        let_go()
        found = wait_for(asked.take, what="its answer")
        assert found == (running, ())
        asked.end()
        wait_for(asked.has_ended, what="its end")
    with file_hangs(files / "pattoo.yaml"):
        given_up = isolated.begin_reload(files, running)
        given_up.end()
        wait_for(given_up.has_ended, what="its end")


def test_a_reader_that_is_killed_is_told(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where memory is short; an answer that was cut off is none."""
    ours = os.getpid()

    def killed(_: Path) -> None:
        assert os.getpid() != ours
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(load, "load", killed)
    with pytest.raises(ConfigError, match="the configuration reader exited without a result"):
        isolated.load(files)


def test_a_reader_that_hangs_whatever_is_done_stays_the_only_one(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a dead file server: the next is told at once, until it has ended; then all is well."""
    monkeypatch.setattr(
        isolated, "kill_and_wait", lambda _pid, _wait_s: None
    )  # what the kernel makes of it
    with file_hangs(files / "pattoo.yaml"):
        others = psutil.Process().children()
        with pytest.raises(ConfigError, match="no answer within"):
            isolated.read_system_daemon_directory(files, within_s=0.2)
        (first,) = set(psutil.Process().children()) - set(others)
        with pytest.raises(ConfigError, match=f"process {first.pid}, .* still hangs"):
            isolated.read_system_daemon_directory(files)
        assert set(psutil.Process().children()) == {first, *others}
        first.kill()
        wait_for(lambda: first.status() == psutil.STATUS_ZOMBIE, what="its end")
    monkeypatch.undo()
    assert isolated.read_system_daemon_directory(files) == files.parent / "daemon"


def test_a_reader_holds_nothing_of_who_asked(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link or a pipe that it held, as it hangs, would seem to have somebody at its end."""

    def tell(_: Path) -> Path:
        raise ConfigError(open_here())

    monkeypatch.setattr(load, "read_system_daemon_directory", tell)
    ends = os.pipe()
    ours = open_here()
    with pytest.raises(ConfigError) as caught:
        isolated.read_system_daemon_directory(files)
    for end in ends:
        os.close(end)
    assert set(caught.value.problems) & set(ours) <= {os.devnull}
    # Nowhere, three times, and the pipe for the answer.
    assert len(caught.value.problems) == 4


def open_here() -> list[str]:
    """What this process has open, but for the look at it."""
    links = [entry for entry in Path("/proc/self/fd").iterdir() if os.path.lexists(entry)]
    return [str(entry.readlink()) for entry in links if os.path.lexists(entry)]


def test_a_name_that_is_no_text_is_told_as_it_is(files: Path) -> None:
    """A directory may be called by any bytes."""
    strange = files.with_name("etc\udcff")
    with pytest.raises(ConfigError) as caught:
        isolated.load(strange)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{strange}: no such directory")


def test_a_directory_below_one_that_is_closed_to_us_is_told(home: Path) -> None:
    """In one line, and not as a defect."""
    home.chmod(0o700)

    def closed() -> str:
        try:
            isolated.read_system_daemon_directory(home / "etc")
        except ConfigError as error:
            return str(error)
        return "found"

    if os.geteuid():
        home.chmod(0o000)
    told = as_nobody(closed)
    assert told.startswith(f"{home}/etc: Permission denied, as ")
    assert told.endswith("; expected files that can be read")


def test_a_defect_is_logged_by_who_asked(
    files: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback; the reader has no log."""

    def broken(_: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(load, "load", broken)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(ConfigError, match="the configuration reader exited without a result"),
    ):
        isolated.load(files)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("limit", "left", "why"),
    [
        (resource.RLIMIT_NPROC, 0, "Resource temporarily unavailable"),
        (resource.RLIMIT_NOFILE, 3, "Too many open files"),
    ],
)
def test_a_host_without_room_for_a_reader_is_told(limit: int, left: int, why: str) -> None:
    """In one line; no descriptor is left of it."""

    def short() -> str:
        before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
        _, most = resource.getrlimit(limit)
        resource.setrlimit(limit, (left, most))
        try:
            isolated.load(Path("/x"))
        except ConfigError as error:
            resource.setrlimit(limit, (most, most))
            assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
            return str(error)
        return "read"

    assert as_nobody(short).startswith(f"/x: {why}; expected a host with room")
