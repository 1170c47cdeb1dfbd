"""Reading the configuration in a forked process."""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import select
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
    """The directory of a valid configuration; no reader process may be left after the test."""
    before = set(
        psutil.Process().children()
    )  # an agent of GnuPG of another test may have ended late
    yield Agent(home).configuration
    assert set(psutil.Process().children()) <= before


def test_load_gives_the_same_as_reading_in_this_process(files: Path) -> None:
    """And makes the directories."""
    found = isolated.load(files)
    assert found == load.check(files)
    assert found.log_directory.is_dir()


def test_the_daemon_directory_is_found_despite_invalid_settings(files: Path) -> None:
    """An invalid setting must not prevent --stop."""
    directory = load.load(files).system_daemon_directory
    text = (files / "pattoo.yaml").read_text()
    (files / "pattoo.yaml").write_text(text.replace("ip_bind_port: 9", "ip_bind_port: none"))
    assert isolated.read_system_daemon_directory(files) == directory


def test_a_check_makes_no_directory(files: Path) -> None:
    """It returns the same configuration as `load`."""
    assert not isolated.check(files).log_directory.exists()


def test_problems_are_the_same_as_when_reading_in_this_process(files: Path) -> None:
    """All lines."""
    (files / "pattoo.yaml").write_text("pattoo:\n  log_level: loud\n")
    with pytest.raises(ConfigError) as ours:
        load.check(files)
    with pytest.raises(ConfigError) as caught:
        isolated.load(files)
    assert caught.value.problems == ours.value.problems


def test_a_reload_names_the_changed_settings(files: Path) -> None:
    """A change that needs a restart is refused, with the same lines as in this process."""
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


def test_the_reader_has_no_descriptor_of_the_agent(files: Path) -> None:
    """Whatever their limit was or is: one that is above it now is closed as well."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    read_end, write_end = os.pipe()
    high = fcntl.fcntl(write_end, fcntl.F_DUPFD_CLOEXEC, 300)
    os.close(write_end)
    with file_hangs(files / "pattoo.yaml"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        reader = isolated.begin_reload(files, config_in(files.parent / "elsewhere"))
        try:
            os.close(high)
            assert select.select([read_end], [], [], 20.0)[0] == [read_end]
            assert os.read(read_end, 1) == b""
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            os.close(read_end)
            reader.end(20.0)


def test_a_limit_of_a_billion_descriptors_takes_no_time(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only open descriptors are closed.

    Without close_range(2), as on old kernels and under some container runtimes, each of a range costs
    a system call.
    """
    monkeypatch.setattr(os, "sysconf", lambda _: 1 << 30)

    def one_by_one(low: int, high: int) -> None:
        assert high - low < 100_000, "a billion system calls"

    monkeypatch.setattr(os, "closerange", one_by_one)
    assert isolated.check(files) == load.check(files)


def test_hanging_files_are_not_waited_for(files: Path) -> None:
    """The error names the directory and the time limit."""
    with file_hangs(files / "pattoo.yaml"), pytest.raises(ConfigError) as caught:
        isolated.load(files, within_s=0.2)
    assert caught.value.problems == (
        f"{files}: no answer within 0.2 s; expected files that can be read",
    )


def test_taking_a_result_never_waits(files: Path) -> None:
    """It is None until the result is complete. A killed reader exits when the kernel lets it."""
    running = load.load(files)
    with file_hangs(files / "pattoo.yaml") as release:
        reader = isolated.begin_reload(files, running)
        assert reader.take() is None
        release()
        found = wait_for(reader.take, what="the result")
        assert found == (running, ())
        reader.end()
        wait_for(reader.has_ended, what="its end")
    with file_hangs(files / "pattoo.yaml"):
        killed_reader = isolated.begin_reload(files, running)
        killed_reader.end()
        wait_for(killed_reader.has_ended, what="its end")


def test_a_killed_reader_is_an_error(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by the OOM killer; an incomplete result is not used."""
    ours = os.getpid()

    def killed(_: Path) -> None:
        assert os.getpid() != ours
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(load, "load", killed)
    with pytest.raises(ConfigError, match="the configuration reader exited without a result"):
        isolated.load(files)


def test_while_a_reader_hangs_no_other_is_started(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a dead file server; the error comes at once. After its end, reading works again."""
    # A process that waits for a dead file server does not exit on SIGKILL.
    monkeypatch.setattr(isolated, "kill_and_wait", lambda _pid, _wait_s: None)
    with file_hangs(files / "pattoo.yaml"):
        others = psutil.Process().children()
        with pytest.raises(ConfigError, match="no answer within"):
            isolated.read_system_daemon_directory(files, within_s=0.2)
        (first,) = set(psutil.Process().children()) - set(others)
        with pytest.raises(
            ConfigError, match=f"process {first.pid}, an earlier reader, still hangs"
        ):
            isolated.read_system_daemon_directory(files)
        assert set(psutil.Process().children()) == {first, *others}
        first.kill()
        wait_for(lambda: first.status() == psutil.STATUS_ZOMBIE, what="its end")
    monkeypatch.undo()
    assert isolated.read_system_daemon_directory(files) == files.parent / "daemon"


def test_a_reader_keeps_no_descriptor_of_its_parent(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other end of a link or a pipe would not notice that the parent is gone."""

    def raise_open(_: Path) -> Path:
        raise ConfigError(open_here())

    monkeypatch.setattr(load, "read_system_daemon_directory", raise_open)
    ends = os.pipe()
    ours = open_here()
    with pytest.raises(ConfigError) as caught:
        isolated.read_system_daemon_directory(files)
    for end in ends:
        os.close(end)
    assert set(caught.value.problems) & set(ours) <= {os.devnull}
    # /dev/null three times, and the pipe for the result.
    assert len(caught.value.problems) == 4


def open_here() -> list[str]:
    """The targets of this process's descriptors, except the one that lists them."""
    links = [entry for entry in Path("/proc/self/fd").iterdir() if os.path.lexists(entry)]
    return [str(entry.readlink()) for entry in links if os.path.lexists(entry)]


def test_a_path_that_is_not_utf_8_is_reported_as_it_is(files: Path) -> None:
    """A file name may be any bytes."""
    strange = files.with_name("etc\udcff")
    with pytest.raises(ConfigError) as caught:
        isolated.load(strange)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{strange}: no such directory")


def test_an_inaccessible_directory_is_one_problem(home: Path) -> None:
    """Not a defect."""
    home.chmod(0o700)

    def closed() -> str:
        try:
            isolated.read_system_daemon_directory(home / "etc")
        except ConfigError as error:
            return str(error)
        return "found"

    if os.geteuid():
        home.chmod(0o000)
    problem = as_nobody(closed)
    assert problem.startswith(f"{home}/etc: Permission denied, as ")
    assert problem.endswith("; expected files that can be read")


def test_a_defect_is_logged_by_the_parent(
    files: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback; the reader itself cannot log."""

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
    ("limit", "left", "reason"),
    [
        (resource.RLIMIT_NPROC, 0, "Resource temporarily unavailable"),
        (resource.RLIMIT_NOFILE, 3, "Too many open files"),
    ],
)
def test_a_failed_fork_is_one_problem(limit: int, left: int, reason: str) -> None:
    """And leaves no descriptor open."""

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

    assert as_nobody(short).startswith(
        f"/x: cannot start a process to read it ({reason}); expected a host with room"
    )
