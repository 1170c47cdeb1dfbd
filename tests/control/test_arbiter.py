"""The loop of the control process, with real forked workers that do as little as possible."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import mmap
import os
import resource
import select
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.control import status_socket
from pattoo_mp.control.arbiter import Arbiter
from pattoo_mp.control.broker import Broker
from pattoo_mp.control.ledger import Ledger
from pattoo_mp.control.reload import LiveConfig
from pattoo_mp.control.status_socket import StatusSocket, ask
from pattoo_mp.control.worker import Role
from pattoo_mp.errors import SpoolError, StartError
from pattoo_mp.ipc.channel import Channel
from pattoo_mp.ipc.messages import Kind, UploadState
from tests.support.configs import config_in
from tests.support.readers import FakeReader
from tests.support.spools import OUTPUT, account_of
from tests.support.unprivileged import NOBODY, become_nobody
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import FileDescriptorLike

    from pattoo_mp.config.values import Config
    from pattoo_mp.ipc.link import Link

INTERVAL_MS = 20
FATAL_STATUS = 9


def polling(link: Link) -> None:
    """Poll until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    link.send(Kind.LAYOUT, "a", b"", INTERVAL_MS)
    tick = time.time_ns() // 1_000_000 // INTERVAL_MS
    while True:
        tick += 1
        select.select([], [], [], INTERVAL_MS / 1000)
        link.send(Kind.POLL, "a", tick * INTERVAL_MS, b"", "", INTERVAL_MS)


def keeping(link: Link) -> None:
    """Acknowledge every poll at once; only its number is kept."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    last = 0
    report(link, last)
    while True:
        select.select([link], [], [])
        for kind, *fields in link.receive():
            if kind == Kind.POLL:
                last = fields[0]
            elif kind == Kind.CLOSE:
                return
        report(link, last)


def report(link: Link, last: int) -> None:
    """Send the account of a spool that has stored all polls up to `last`."""
    account = account_of(sequence=last, kept_of_channel=last, kept=last, waiting=last)
    link.send(Kind.UPLOAD, OUTPUT, UploadState().fields(), account.fields())


def hanging(link: Link) -> None:
    """Send one message, then nothing, and ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report(link, 0)
    while True:
        signal.pause()


def dying(_: Link) -> None:
    """Fail before any work was done."""
    raise RuntimeError("no reason at all")


def giving_up(_: Link) -> None:
    """Report that a restart cannot help."""
    raise SpoolError("the spool: of another agent; expected our own")


class Control:
    """A control process in a fork of the test."""

    def __init__(
        self,
        home: Path,
        collect: Callable[[Link], None],
        upload: Callable[[Link], None],
        unresponsive_s: float,
        kind: type[Arbiter],
        *,
        place: str = "",
    ) -> None:
        self._place = place
        self._unresponsive_s = unresponsive_s
        self.path = home / "run" / "x.sock"
        self._full = home / "full"
        if os.geteuid() == 0:
            os.chown(home, NOBODY, NOBODY)
        self.pid = os.fork()
        if self.pid == 0:
            self._run(kind, collect, upload)

    def _run(
        self,
        kind: type[Arbiter],
        collect: Callable[[Link], None],
        upload: Callable[[Link], None],
    ) -> None:
        status = 1
        gc.collect()  # close now what other tests have left open, not at some later moment
        become_nobody()  # the limit of processes does not apply to root
        os.setpgid(0, 0)
        config = config_in(self.path.parent, interval_ms=INTERVAL_MS)
        self._reread(config)
        try:
            kind(
                Role("collector", collect, signal.SIGKILL, lambda: self._place, beside=1),
                Role("uploader", upload, signal.SIGKILL),
                Broker(Channel(), Ledger(INTERVAL_MS)),
                StatusSocket(self.path),
                lambda: None,
                live=LiveConfig(config, self._reread),
                unresponsive_s=self._unresponsive_s,
            ).run()
            status = 0
        except StartError as error:
            status = FATAL_STATUS if "of another agent" in str(error) else 1
        finally:
            os._exit(status)

    def status(self) -> dict[str, Any]:
        """Its status; empty while it does not listen."""
        with contextlib.suppress(OSError):
            return ask(self.path)
        return {}

    def worker(self, name: str) -> dict[str, Any]:
        """The status of a worker."""
        found: dict[str, Any] = self.status().get("workers", {}).get(name, {})
        return found

    def allow_starts(self, *, allowed: bool) -> None:
        """Allow its user no further process, or as many as before."""
        number = self.status()["reload"]["number"]
        self._full.unlink() if allowed else self._full.touch()
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: self.status()["reload"]["number"] > number, what="a reading")

    def _reread(self, running: Config) -> FakeReader:
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (0 if self._full.exists() else most, most))
        return FakeReader((running, ()))

    def holds(self) -> tuple[int, str]:
        """The number of its open descriptors, and the signals that it blocks."""
        process = Path(f"/proc/{self.pid}")
        blocked = [
            line for line in (process / "status").read_text().splitlines() if "SigBlk" in line
        ]
        return len(list((process / "fd").iterdir())), "".join(blocked)

    def wait(self) -> int:
        """Wait for its exit; return the exit status."""
        pidfd = os.pidfd_open(self.pid)
        assert select.select([pidfd], [], [], 30)[0], "control did not end"
        os.close(pidfd)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def control(home: Path) -> Iterator[Callable[..., Control]]:
    """Start control processes; kill those that remain afterwards."""
    made: list[Control] = []

    def make(
        collect: Callable[[Link], None],
        upload: Callable[[Link], None],
        unresponsive_s: float = 60.0,
        kind: type[Arbiter] = Arbiter,
        place: str = "",
    ) -> Control:
        made.append(Control(home, collect, upload, unresponsive_s, kind, place=place))
        return made[-1]

    yield make
    for one in made:
        if one.pid:
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)


def polled(one: Control) -> int:
    """The number of polls that it has counted."""
    return int(one.status().get("polls", {}).get("polled", 0))


def test_both_workers_run_and_stop(control: Callable[..., Control]) -> None:
    """Polls flow; SIGTERM ends the workers in order, and control with status 0."""
    one = control(polling, keeping)
    wait_for(lambda: polled(one) > 5, what="polls")
    pids = [one.worker(name)["pid"] for name in ("collector", "uploader")]
    os.kill(one.pid, signal.SIGTERM)
    assert one.wait() == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_status_has_all_that_was_sent_before_the_question(
    control: Callable[..., Control],
) -> None:
    """Though control reads polls only when they are to be committed: it reads before it answers."""
    sent = mmap.mmap(-1, 4)

    def counting(link: Link) -> None:
        link.send(Kind.LAYOUT, "a", b"", INTERVAL_MS)
        tick = time.time_ns() // 1_000_000 // INTERVAL_MS
        for number in itertools.count(1):
            link.send(Kind.POLL, "a", (tick + number) * INTERVAL_MS, b"", "", INTERVAL_MS)
            sent[:] = number.to_bytes(4, "little")
            select.select([], [], [], INTERVAL_MS / 1000)

    one = control(counting, keeping)
    wait_for(lambda: polled(one) > 5, what="polls")
    for _ in range(20):
        before = int.from_bytes(sent, "little")
        wait_for(lambda before=before: int.from_bytes(sent, "little") > before, what="another poll")  # type: ignore[misc]
        asked = int.from_bytes(sent, "little")
        assert polled(one) >= asked


def noting(link: Link) -> None:
    """Leave out 5,000 mounts, and poll."""
    why = "PermissionError: [Errno 13] Permission denied"
    link.send(Kind.NOTE, {f"/srv/{n}/{'long' * 50}": why for n in range(5000)})
    polling(link)


def test_a_status_larger_than_a_sockets_buffer_is_sent_completely(
    control: Callable[..., Control], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polls go on, whatever other callers read; no caller waits for a worker that was started later."""
    monkeypatch.setattr(status_socket, "_UNREAD_S", 100.0)
    one = control(noting, keeping)
    wait_for(lambda: len(one.worker("collector").get("troubles", ())) == 5000, what="the notes")
    with contextlib.ExitStack() as never:
        callers = [never.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(5)]
        for caller in callers:
            caller.connect(str(one.path))
        for _ in range(3):
            before = polled(one)
            os.kill(one.worker("collector")["pid"], signal.SIGKILL)
            wait_for(lambda before=before: polled(one) > before + 5, what="more polls")  # type: ignore[misc]
        wait_for(lambda: len(one.worker("collector").get("troubles", ())) == 5000, what="the notes")
        answer = b"".join(iter(lambda: callers[0].recv(1 << 12), b""))
        assert len(json.loads(answer)["workers"]["collector"]["troubles"]) == 5000


def test_an_unresponsive_collector_is_replaced(control: Callable[..., Control]) -> None:
    """A collector stopped by SIGSTOP for too long is killed, and another one polls."""
    one = control(polling, keeping, unresponsive_s=1.0)
    wait_for(lambda: polled(one) > 2, what="polls")
    first = one.worker("collector")["pid"]
    os.kill(first, signal.SIGSTOP)
    wait_for(lambda: one.worker("collector").get("pid") not in {first, 0, None}, what="another")
    before = polled(one)
    wait_for(lambda: polled(one) > before, what="its polls")
    assert one.worker("collector")["last_death"] == "signal SIGKILL"


def test_an_unresponsive_uploader_is_replaced(control: Callable[..., Control]) -> None:
    """An uploader that got polls and sends nothing is killed; polling goes on."""
    one = control(polling, hanging, unresponsive_s=1.0)
    wait_for(lambda: one.worker("uploader").get("restarts", 0) >= 2, what="two replacements")
    before = polled(one)
    wait_for(lambda: polled(one) > before, what="more polls")
    assert one.status()["missed"] == {}


def test_a_worker_that_keeps_dying_is_restarted_with_growing_delays(
    control: Callable[..., Control],
) -> None:
    """The status has the reason; the other worker is not affected."""
    one = control(polling, dying)
    wait_for(lambda: one.worker("uploader").get("restarts", 0) >= 4, what="four deaths")
    assert one.worker("uploader")["last_death"] == "exit status 1"
    assert one.worker("collector")["restarts"] == 0
    os.kill(one.pid, signal.SIGTERM)
    assert one.wait() == 0


def test_without_a_process_to_spare_the_start_is_retried(control: Callable[..., Control]) -> None:
    """The status says why there is no uploader; polling goes on; nothing is lost or left open."""
    one = control(polling, keeping)
    wait_for(lambda: one.status().get("polls", {}).get("in_spool"), what="polls")
    collector = one.worker("collector")["pid"]
    one.allow_starts(allowed=False)
    os.kill(one.worker("uploader")["pid"], signal.SIGKILL)
    wait_for(lambda: one.worker("uploader")["restarts"] >= 3, what="two starts that fail")
    why = "a start that failed (Resource temporarily unavailable)"
    assert (one.worker("uploader")["pid"], one.worker("uploader")["last_death"]) == (0, why)
    (descriptors, blocked), before = one.holds(), polled(one)
    wait_for(lambda: one.worker("uploader")["restarts"] >= 5, what="two more")
    after = one.holds()
    assert (after[0] <= descriptors, after[1]) == (True, blocked)
    wait_for(lambda: polled(one) > before, what="more polls")
    one.allow_starts(allowed=True)
    wait_for(lambda: one.worker("uploader")["pid"], what="an uploader")
    wait_for(lambda: one.status()["polls"]["in_channel"] < 3, what="all that waited")
    assert one.worker("collector")["pid"] == collector
    os.kill(one.pid, signal.SIGTERM)
    assert one.wait() == 0


def test_an_agent_without_workers_reports_it_and_can_be_stopped(
    control: Callable[..., Control], home: Path
) -> None:
    """The status counts the failed starts, for `--start` to report, and SIGTERM stops control at once."""
    (home / "full").touch()
    one = control(polling, keeping)
    for name in ("collector", "uploader"):
        wait_for(lambda: one.worker(name).get("restarts", 0) >= 3, what=f"no {name}")  # noqa: B023
    os.kill(one.pid, signal.SIGTERM)
    assert one.wait() == 0


def test_a_fatal_error_of_a_worker_ends_control(control: Callable[..., Control]) -> None:
    """If a worker reports that before the first poll is safe, control exits and leaves nothing."""
    one = control(polling, giving_up)
    assert one.wait() == FATAL_STATUS


def test_a_stop_kills_hanging_workers_at_its_time_limit(control: Callable[..., Control]) -> None:
    """Workers that ignore the stop are killed at its time limit."""
    one = control(hanging, hanging)
    wait_for(lambda: one.worker("collector").get("pid"), what="a collector")
    pids = [one.worker(name)["pid"] for name in ("collector", "uploader")]
    os.kill(one.pid, signal.SIGINT)
    assert one.wait() == 0
    wait_for(lambda: not any(alive(pid) for pid in pids), what="the end of the workers")


@pytest.mark.parametrize("victim", ["collector", "uploader", "control"])
def test_a_stop_with_a_kill_of_any_process(control: Callable[..., Control], victim: str) -> None:
    """SIGTERM to control, and at once SIGKILL to any process: all exit, and soon."""
    one = control(polling, keeping)
    wait_for(lambda: polled(one) > 2, what="polls")
    pids = {name: one.worker(name)["pid"] for name in ("collector", "uploader")}
    os.kill(one.pid, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids.get(victim, one.pid), signal.SIGKILL)
    assert one.wait() in {0, -signal.SIGKILL}
    wait_for(lambda: not any(alive(pid) for pid in pids.values()), what="the end of the workers")


class LateByte(Arbiter):
    """An arbiter that wakes up because a worker exited, just before the signal's byte is readable."""

    def _wait(self) -> list[FileDescriptorLike]:
        return [readable for readable in super()._wait() if readable is not self._wakeup]


def test_a_signal_to_the_group_restarts_no_worker(
    control: Callable[..., Control], home: Path
) -> None:
    """When a worker exits from the signal, control has it too, and does not restart the worker."""
    begun = home / "begun"

    def noted(link: Link) -> None:
        with begun.open("a") as file:
            file.write(f"{os.getpid()}\n")
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        link.send(Kind.LAYOUT, "a", b"", INTERVAL_MS)
        while True:
            signal.pause()

    one = control(noted, keeping, kind=LateByte)
    wait_for(lambda: begun.exists() and begun.read_text(), what="a collector")
    os.killpg(one.pid, signal.SIGTERM)
    assert one.wait() == 0
    assert len(begun.read_text().splitlines()) == 1


def test_an_uploader_that_exits_before_the_collector_is_replaced_in_a_stop(
    control: Callable[..., Control], home: Path
) -> None:
    """A signal to the group may end the uploader first; the last polls of the collector are kept."""
    left, again, kept = home / "left", home / "again", home / "kept"

    def ending_late(link: Link) -> None:
        asked: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
        link.send(Kind.LAYOUT, "a", b"", INTERVAL_MS)
        tick = time.time_ns() // 1_000_000 // INTERVAL_MS
        while not (asked and again.exists()):  # or its end might be noticed before the uploader's
            tick += 1
            select.select([], [], [], INTERVAL_MS / 1000)
            link.send(Kind.POLL, "a", tick * INTERVAL_MS, b"", "", INTERVAL_MS)
        link.send(Kind.POLL, "a", (tick + 1) * INTERVAL_MS, b"", "", INTERVAL_MS)

    def leaving_first(link: Link) -> None:
        if left.exists():
            again.touch()
            keeping(link)
            kept.touch()
            return

        def leave(*_: object) -> None:
            left.touch()
            os._exit(0)

        signal.signal(signal.SIGTERM, leave)
        while True:  # it stores nothing, but it sends messages
            report(link, 0)
            select.select([], [], [], 0.1)

    one = control(ending_late, leaving_first)
    wait_for(lambda: polled(one) > 3, what="polls")
    uploader = one.worker("uploader")["pid"]
    os.kill(one.pid, signal.SIGTERM)
    os.kill(uploader, signal.SIGTERM)
    assert one.wait() == 0
    assert kept.exists()


def test_sighup_reloads_the_configuration(control: Callable[..., Control]) -> None:
    """SIGHUP ends neither control nor a worker."""
    one = control(polling, keeping)
    wait_for(lambda: polled(one) > 2, what="polls")
    pids = [one.pid, *(one.worker(name)["pid"] for name in ("collector", "uploader"))]
    for pid in pids:
        os.kill(pid, signal.SIGHUP)
    wait_for(lambda: one.status()["reload"]["number"] == 1, what="a reading")
    before = polled(one)
    wait_for(lambda: polled(one) > before, what="more polls")
    assert [one.worker(name)["pid"] for name in ("collector", "uploader")] == pids[1:]


def test_a_stop_wins_over_a_reload(control: Callable[..., Control]) -> None:
    """Whichever signal comes first."""
    for first, second in ((signal.SIGHUP, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP)):
        one = control(polling, keeping)
        wait_for(lambda one=one: polled(one) > 2, what="polls")  # type: ignore[misc]
        os.kill(one.pid, first)
        os.kill(one.pid, second)
        assert one.wait() == 0


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - a line of it
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
