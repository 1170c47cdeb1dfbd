"""Who holds the lock: asked of the kernel, with real processes."""

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
from pattoo_mp.util.files import denied
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
    """Where the PID file is, in a directory that is not there yet."""
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
    """By the kernel; and the file says it to people."""
    process = hold()
    assert running_pid(path) == process.pid
    assert path.read_text() == f"{process.pid}\n"


def test_a_second_one_is_refused_and_told_who_runs(path: Path, hold: Holder) -> None:
    """One line, with the number; the file still says who runs."""
    process = hold()
    with pytest.raises(AlreadyRunningError, match=f"already running as process {process.pid}$"):
        PidLock(path)
    assert path.read_text() == f"{process.pid}\n"
    assert running_pid(path) == process.pid


def test_nobody_holds_it_after_sigkill(path: Path, hold: Holder) -> None:
    """The file stays with a number in it, and means nothing; the next one starts."""
    process = hold()
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert path.read_text() == f"{process.pid}\n"
    assert running_pid(path) is None
    successor = hold()
    assert running_pid(path) == successor.pid


def test_a_release_gives_the_lock_up_and_empties_the_file(path: Path, hold: Holder) -> None:
    """Before the process ends."""
    process = hold()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "released\n"
    assert process.poll() is None
    assert running_pid(path) is None
    assert path.read_text() == ""


def test_a_file_that_names_another_process_is_nobody_running(path: Path, hold: Holder) -> None:
    """A number that was given again after a reboot belongs to somebody else."""
    path.parent.mkdir()
    path.write_text(f"{os.getppid()}\n")
    assert running_pid(path) is None
    process = hold()
    assert path.read_text() == f"{process.pid}\n"


@pytest.mark.parametrize("content", ["", "garbage", "-1\n", "1" * 100_000])
def test_what_the_file_says_does_not_matter(path: Path, hold: Holder, content: str) -> None:
    """It is not read; a start writes it anew."""
    path.parent.mkdir()
    path.write_text(content)
    assert running_pid(path) is None
    process = hold()
    assert path.read_text() == f"{process.pid}\n"


def test_no_file_is_nobody_running(path: Path, home: Path) -> None:
    """Nor is a path that cannot be."""
    assert running_pid(path) is None
    (home / "pid").write_text("a file where a directory should be")
    assert running_pid(path) is None


@pytest.mark.parametrize("target", ["elsewhere", "absent"])
def test_a_symbolic_link_is_not_followed(path: Path, home: Path, target: str) -> None:
    """Neither for the lock, nor to look: what it points to stays as it is."""
    (home / "elsewhere").write_text("precious")
    path.parent.mkdir()
    path.symlink_to(home / target)
    with pytest.raises(StartError, match=r"expected a .* PID file"):
        PidLock(path)
    with pytest.raises(PattooError, match=r"expected a .* PID file"):
        running_pid(path)
    assert (home / "elsewhere").read_text() == "precious"
    assert not (home / "absent").exists()


def test_who_may_not_look_is_told_whose_it_is(path: Path, home: Path) -> None:
    """The owner is the one to ask as."""
    path.parent.mkdir(parents=True)
    path.touch(0o600 if os.geteuid() == 0 else 0o000)
    for above in (home, path.parent):
        above.chmod(0o755)

    def complaint() -> str:
        with pytest.raises(PattooError) as caught:
            running_pid(path)
        return str(caught.value)

    whose = as_nobody(lambda: denied(path))
    assert as_nobody(complaint) == (
        f"{path}: Permission denied{whose}; expected a readable PID file"
    )


def test_a_directory_in_its_place_is_refused(path: Path) -> None:
    """With one line that says what was expected."""
    path.mkdir(parents=True)
    with pytest.raises(StartError, match=f"^{path}: Is a directory; expected a writable PID file$"):
        PidLock(path)


def test_of_many_that_start_at_once_one_runs(path: Path) -> None:
    """All others are told that it does."""
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


def test_a_disk_without_room_for_the_number_hinders_nobody(home: Path) -> None:
    """It is the lock that counts; the number is written when there is room."""
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


def test_a_file_that_nobody_can_look_at_is_not_taken_for_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file server that stumbles: to open the same file again, and close it, would drop the lock."""
    lock = PidLock(path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stumble)
        with pytest.raises(OSError, match="Stale file handle"):
            lock.ensure_in_place()
    lock.ensure_in_place()
    assert holder_seen_by_another(path) == os.getpid()
    lock.release()


def test_a_file_that_was_put_back_is_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gone when it was looked for, and there again when it was opened: the lock is on it."""
    lock = PidLock(path)
    with monkeypatch.context() as patch:
        patch.setattr(PidLock, "_is_in_place", lambda _: False)
        lock.ensure_in_place()
    assert holder_seen_by_another(path) == os.getpid()
    lock.release()


def stumble(_: Path) -> None:
    """Fail as a file server does."""
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def holder_seen_by_another(path: Path) -> int:
    """Who holds the lock, asked by a process that does not."""
    return int(in_child(lambda: str(running_pid(path) or 0)))


def test_a_lock_that_somebody_else_has_taken_leaves_no_descriptor(home: Path) -> None:
    """Control tries again every few seconds, as long as it runs."""
    path = home / "x.pid"
    lock = PidLock(path)
    path.unlink()
    with lock_held(path):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        with pytest.raises(AlreadyRunningError):
            lock.ensure_in_place()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    lock.release()


# How a run ended, by what it left.


def run(home: Path, error: Exception | None = None) -> None:
    """A run that makes all that one makes, and ends; by an error, if there is one."""
    with locked_run(home):
        StatusSocket(paths.status_socket(home)).close()
        if error is not None:
            raise error


def test_a_run_that_ends_in_order_is_not_told_of(home: Path) -> None:
    """It leaves an empty PID file, as it always did, and no socket."""
    assert cut_short_pid(home) == 0
    run(home)
    assert cut_short_pid(home) == 0
    assert paths.pid_file(home).read_text() == ""
    assert not paths.status_socket(home).exists()


def test_a_start_that_is_refused_is_not_told_of(home: Path) -> None:
    """A person was told why at once."""
    with pytest.raises(StartError):
        run(home, StartError("no spool"))
    assert cut_short_pid(home) == 0


def test_a_run_that_crashed_is_told_of(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By its number; and its log has the traceback, for nobody may see its stderr."""
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    assert cut_short_pid(home) == os.getpid()
    assert "Control failed with an unexpected error." in caplog.text
    assert "a defect" in caplog.text
    run(home)
    assert cut_short_pid(home) == 0


def test_one_that_was_killed_before_it_listened_is_not_taken_for_another(home: Path) -> None:
    """The socket of the run before it speaks of that one alone."""
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    with pytest.raises(RuntimeError), locked_run(home):
        raise RuntimeError("so soon")
    assert paths.pid_file(home).read_text() == f"{os.getpid()}\n"
    assert cut_short_pid(home) == 0


def test_an_end_by_force_can_be_forgiven(home: Path) -> None:
    """Somebody asked for it. Where there is nothing to remove_status_socket, nothing happens."""
    remove_status_socket(home)
    with pytest.raises(RuntimeError):
        run(home, RuntimeError("a defect"))
    remove_status_socket(home)
    assert cut_short_pid(home) == 0


@pytest.mark.parametrize("content", ["", "garbage", "-1\n", "1" * 100_000])
def test_a_pid_file_without_a_number_tells_nothing(home: Path, content: str) -> None:
    """Whoever wrote that, it was no control process."""
    paths.pid_file(home).parent.mkdir()
    paths.pid_file(home).write_text(content)
    StatusSocket(paths.status_socket(home)).close()
    assert cut_short_pid(home) == 0


def test_a_pid_file_of_the_original_agent_tells_nothing(home: Path) -> None:
    """It leaves its number behind, and may well run; it never makes the socket."""
    paths.pid_file(home).parent.mkdir()
    paths.pid_file(home).write_text(f"{os.getpid()}\n")
    assert cut_short_pid(home) == 0


def test_nothing_is_logged_of_a_run_that_ended_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """And one line of another."""
    log_cut_short(0)
    assert caplog.messages == []
    log_cut_short(7)
    assert [message.split(":")[0] for message in caplog.messages] == [
        "The last run (process 7) did not exit cleanly"
    ]


# Who runs a control process, as it notes it for later commands.

OURS = {"SUPERVISOR_SERVER_URL": "unix:///x.sock", "SUPERVISOR_PROCESS_NAME": "agent"}
ANOTHER = OURS | {"SUPERVISOR_SERVER_URL": "unix:///y.sock"}


def refused(note: Path, environment: Mapping[str, str]) -> None:
    """Be a control process that cannot run: another one does."""
    with pytest.raises(AlreadyRunningError), record_supervisor_if_refused(note, environment):
        raise AlreadyRunningError("as process 7")


def test_a_supervisor_that_is_refused_is_noted_beside_an_agent_that_has_none(home: Path) -> None:
    """A stop has to end its tries."""
    note = home / "run" / "note"
    record_supervisor(note, {})  # started by hand
    refused(note, {})
    assert not note.exists()
    refused(note, OURS)
    assert json.loads(note.read_text()) == {"url": "unix:///x.sock", "name": "agent:agent"}


def test_a_supervisor_that_is_refused_takes_no_others_place(home: Path) -> None:
    """The agent that runs is still found to be the first one's; nor does a start by hand forget it."""
    note = home / "note"
    record_supervisor(note, OURS)
    before = note.read_text()
    for environment in (ANOTHER, {}):
        refused(note, environment)
        assert note.read_text() == before
