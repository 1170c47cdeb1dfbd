"""The lock, with real processes; how a run ended; and the supervisor record."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.control.run_directory import (
    PidLock,
    TickFile,
    cut_short_pid,
    locked_run,
    log_cut_short,
    record_supervisor,
    record_supervisor_if_refused,
    remove_status_socket,
    running_pid,
)
from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.errors import AlreadyRunningError, PattooError, StartError
from pattoo_mp.util.files import path_permissions
from tests.support.locked import lock_held
from tests.support.unprivileged import as_nobody, in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Holder = Callable[[], subprocess.Popen[str]]
    from collections.abc import Mapping


ROOT = Path(__file__).resolve().parents[2]
_HOLD = """
import sys
from pathlib import Path
from pattoo_mp.control.run_directory import PidLock
lock = PidLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
lock.release()
print("released", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(home: Path) -> Path:
    """The path of the PID file, in a directory that does not exist yet."""
    return home / "pid" / "agent.pid"


@pytest.fixture
def hold(path: Path) -> Iterator[Holder]:
    """Start processes that hold the lock until they read a line."""
    running: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate(timeout=20)


def test_the_holder_is_named(path: Path, hold: Holder) -> None:
    """By the kernel; the file has the PID for people."""
    process = hold()
    assert running_pid(path) == process.pid
    assert path.read_text() == f"{process.pid}\n"


def test_a_second_agent_is_refused_with_the_pid_of_the_first(path: Path, hold: Holder) -> None:
    """With one line that has the PID; the file is unchanged."""
    process = hold()
    with pytest.raises(AlreadyRunningError, match=f"already running as process {process.pid}$"):
        PidLock(path)
    assert path.read_text() == f"{process.pid}\n"
    assert running_pid(path) == process.pid


def test_no_process_holds_the_lock_after_sigkill(path: Path, hold: Holder) -> None:
    """The file stays with its PID and means nothing; the next agent starts."""
    process = hold()
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert path.read_text() == f"{process.pid}\n"
    assert running_pid(path) is None
    successor = hold()
    assert running_pid(path) == successor.pid


def test_a_release_unlocks_and_empties_the_file(path: Path, hold: Holder) -> None:
    """While the process still runs."""
    process = hold()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "released\n"
    assert process.poll() is None
    assert running_pid(path) is None
    assert path.read_text() == ""


def test_a_file_with_the_pid_of_an_unrelated_process_means_nothing(
    path: Path, hold: Holder
) -> None:
    """After a reboot the PID may belong to an unrelated process."""
    path.parent.mkdir()
    path.write_text(f"{os.getppid()}\n")
    assert running_pid(path) is None
    process = hold()
    assert path.read_text() == f"{process.pid}\n"


@pytest.mark.parametrize("content", ["", "garbage", "-1\n", "1" * 100_000])
def test_the_content_of_the_file_does_not_matter(path: Path, hold: Holder, content: str) -> None:
    """It is not read; a start overwrites it."""
    path.parent.mkdir()
    path.write_text(content)
    assert running_pid(path) is None
    process = hold()
    assert path.read_text() == f"{process.pid}\n"


def test_without_a_file_no_agent_runs(path: Path, home: Path) -> None:
    """Nor is an impossible path."""
    assert running_pid(path) is None
    (home / "pid").write_text("a file where a directory should be")
    assert running_pid(path) is None


@pytest.mark.parametrize("target", ["elsewhere", "absent"])
def test_a_symbolic_link_is_not_followed(path: Path, home: Path, target: str) -> None:
    """Neither by the lock nor by a query: its target stays unchanged."""
    (home / "elsewhere").write_text("precious")
    path.parent.mkdir()
    path.symlink_to(home / target)
    with pytest.raises(StartError, match=r"expected a .* PID file"):
        PidLock(path)
    with pytest.raises(PattooError, match=r"expected a .* PID file"):
        running_pid(path)
    assert (home / "elsewhere").read_text() == "precious"
    assert not (home / "absent").exists()


def test_an_unreadable_file_is_reported_with_its_owner(path: Path, home: Path) -> None:
    """The message names the owner, who may read the file."""
    path.parent.mkdir(parents=True)
    path.touch(0o600 if os.geteuid() == 0 else 0o000)
    for above in (home, path.parent):
        above.chmod(0o755)

    def complaint() -> str:
        with pytest.raises(PattooError) as caught:
            running_pid(path)
        return str(caught.value)

    owner = as_nobody(lambda: path_permissions(path))
    assert as_nobody(complaint) == (
        f"{path}: Permission denied{owner}; expected a readable PID file"
    )


def test_a_directory_as_pid_file_is_refused(path: Path) -> None:
    """With one line that says what was expected."""
    path.mkdir(parents=True)
    with pytest.raises(StartError, match=f"^{path}: Is a directory; expected a writable PID file$"):
        PidLock(path)


def test_of_many_simultaneous_starts_one_succeeds(path: Path) -> None:
    """All others are refused."""
    code = _HOLD.replace(
        "lock = ", "from pattoo_mp.errors import PattooError\ntry: lock = "
    ).replace(
        'print("held"',
        'except PattooError: print("refused", flush=True); sys.exit(1)\nprint("held"',
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for _ in range(8)
    ]  # fmt: skip
    try:
        answers = [process.stdout.readline() for process in processes if process.stdout]
        assert sorted(answers) == ["held\n"] + ["refused\n"] * 7
        assert running_pid(path) == processes[answers.index("held\n")].pid
    finally:
        for process in processes:
            process.kill()
            process.communicate(timeout=20)


def test_a_full_disk_only_delays_writing_the_pid(home: Path) -> None:
    """Only the lock counts; the PID is written when there is room."""
    path = home / "x.pid"

    def full() -> str:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
        lock = PidLock(path)
        assert holder_seen_by_another(path) == os.getpid()
        with pytest.raises(OSError, match="File too large"):
            lock.ensure_in_place()
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        lock.ensure_in_place()
        return path.read_text()

    assert int(in_child(full))


def test_a_file_that_cannot_be_checked_does_not_count_as_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing file server: opening and closing the same file again would release the lock."""
    lock = PidLock(path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stumble)
        with pytest.raises(OSError, match="Stale file handle"):
            lock.ensure_in_place()
    lock.ensure_in_place()
    assert holder_seen_by_another(path) == os.getpid()
    lock.release()


def test_a_file_that_was_put_back_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was missing at the check, but back when it was opened: the lock is held."""
    lock = PidLock(path)
    with monkeypatch.context() as patch:
        patch.setattr(PidLock, "_is_in_place", lambda _: False)
        lock.ensure_in_place()
    assert holder_seen_by_another(path) == os.getpid()
    lock.release()


def stumble(_: Path) -> None:
    """Fail like a file server."""
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def holder_seen_by_another(path: Path) -> int:
    """The holder of the lock, as seen by another process."""
    return int(in_child(lambda: str(running_pid(path) or 0)))


def test_a_lock_taken_by_another_process_leaves_no_descriptor(home: Path) -> None:
    """Control tries again every few seconds as long as it runs."""
    path = home / "x.pid"
    lock = PidLock(path)
    path.unlink()
    with lock_held(path):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        with pytest.raises(AlreadyRunningError):
            lock.ensure_in_place()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    lock.release()


# How a run ended.


def run(home: Path, error: Exception | None = None) -> None:
    """Run with all files of a run, and exit; with `error`, if given."""
    with locked_run(home):
        StatusSocket(paths.status_socket(home)).close()
        if error is not None:
            raise error


def test_a_clean_exit_is_not_reported(home: Path) -> None:
    """It leaves an empty PID file and no socket."""
    assert cut_short_pid(home) == 0
    run(home)
    assert cut_short_pid(home) == 0
    assert paths.pid_file(home).read_text() == ""
    assert not paths.status_socket(home).exists()


def test_a_refused_start_is_not_reported(home: Path) -> None:
    """The user has seen the reason."""
    with pytest.raises(StartError):
        run(home, StartError("no spool"))
    assert cut_short_pid(home) == 0


def test_a_crash_is_reported(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With its PID. The log has the traceback, since stderr may be visible nowhere."""
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    assert cut_short_pid(home) == os.getpid()
    assert "Control failed with an unexpected error." in caplog.text
    assert "a defect" in caplog.text
    run(home)
    assert cut_short_pid(home) == 0


def test_a_run_that_ended_before_it_listened_is_not_reported(home: Path) -> None:
    """The socket of the previous run says nothing about this one."""
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    with pytest.raises(RuntimeError), locked_run(home):
        raise RuntimeError("so soon")
    assert paths.pid_file(home).read_text() == f"{os.getpid()}\n"
    assert cut_short_pid(home) == 0


def test_a_forced_stop_is_not_reported(home: Path) -> None:
    """It was requested. Without a socket, nothing happens."""
    remove_status_socket(home)
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    remove_status_socket(home)
    assert cut_short_pid(home) == 0


@pytest.mark.parametrize("content", ["", "garbage", "-1\n", "1" * 100_000])
def test_a_pid_file_without_a_pid_is_ignored(home: Path, content: str) -> None:
    """No control process has written that."""
    paths.pid_file(home).parent.mkdir()
    paths.pid_file(home).write_text(content)
    StatusSocket(paths.status_socket(home)).close()
    assert cut_short_pid(home) == 0


def test_a_pid_file_of_the_original_agent_is_ignored(home: Path) -> None:
    """It leaves its PID behind, and may still run, but never creates the socket."""
    paths.pid_file(home).parent.mkdir()
    paths.pid_file(home).write_text(f"{os.getpid()}\n")
    assert cut_short_pid(home) == 0


def test_only_a_run_that_was_cut_short_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """After any other run there is one line."""
    log_cut_short(0)
    assert caplog.messages == []
    log_cut_short(7)
    assert [message.split(":")[0] for message in caplog.messages] == [
        "The last run (process 7) did not exit cleanly"
    ]


# The record of the supervisord that runs a control process.

OURS = {"SUPERVISOR_SERVER_URL": "unix:///x.sock", "SUPERVISOR_PROCESS_NAME": "agent"}
ANOTHER = OURS | {"SUPERVISOR_SERVER_URL": "unix:///y.sock"}


def refused(note: Path, environment: Mapping[str, str]) -> None:
    """Fail as a control process does when another one is running."""
    with pytest.raises(AlreadyRunningError), record_supervisor_if_refused(note, environment):
        raise AlreadyRunningError("as process 7")


def test_a_refused_supervisor_is_recorded_if_the_running_agent_has_none(home: Path) -> None:
    """A stop must end its retries."""
    note = home / "run" / "note"
    record_supervisor(note, {})  # started by hand
    refused(note, {})
    assert not note.exists()
    refused(note, OURS)
    assert json.loads(note.read_text()) == {"url": "unix:///x.sock", "name": "agent:agent"}


def test_a_refused_supervisor_does_not_replace_an_existing_record(home: Path) -> None:
    """The running agent keeps its supervisor's record, also after a start by hand."""
    note = home / "note"
    record_supervisor(note, OURS)
    before = note.read_text()
    for environment in (ANOTHER, {}):
        refused(note, environment)
        assert note.read_text() == before


# --- the newest tick


def test_the_newest_tick_outlives_a_process(home: Path) -> None:
    """The next one reads what this one noted last."""
    path = home / "run" / "x.tick"
    ticks = TickFile(path)
    assert ticks.earlier_ms == 0
    for tick_ms in (1000, 2**40, 2**40 + 100):
        ticks.note(tick_ms)
    assert TickFile(path).earlier_ms == 2**40 + 100
    assert path.stat().st_mode & 0o777 == 0o600
    ticks.close()
    ticks.note(7)  # in a fork, which has closed it
    assert TickFile(path).earlier_ms == 2**40 + 100


def test_the_newest_tick_is_noted_on_a_full_disk(home: Path) -> None:
    """The file has its room already."""
    path = home / "x.tick"
    ticks = TickFile(path)
    ticks.note(1000)

    def full() -> str:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, most))
        ticks.note(2000)
        new = TickFile(home / "new.tick")
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
        new.note(3000)
        return ""

    in_child(full)
    assert TickFile(path).earlier_ms == 2000
    assert TickFile(home / "new.tick").earlier_ms == 0


@pytest.mark.parametrize(
    "content", [b"", b"1", b"\0" * 16, b"\xff" * 16, b"\0" * 7 + b"\x05" + b"\xff" * 8, b"x" * 99]
)
def test_a_tick_that_was_not_written_wholly_means_nothing(home: Path, content: bytes) -> None:
    """The spool's newest poll counts alone, and the file is written anew."""
    path = home / "x.tick"
    path.write_bytes(content)
    ticks = TickFile(path)
    assert ticks.earlier_ms == 0
    ticks.note(1000)
    assert TickFile(path).earlier_ms == 1000


def test_without_a_tick_file_the_agent_polls_all_the_same(home: Path) -> None:
    """A directory or a link is in its place: nothing is written there."""
    (home / "x.tick").mkdir()
    (home / "target").write_text("kept")
    (home / "link.tick").symlink_to(home / "target")
    for name in ("x.tick", "link.tick"):
        ticks = TickFile(home / name)
        ticks.note(1000)
        assert ticks.earlier_ms == 0
    assert (home / "target").read_text() == "kept"
