"""A worker that hangs in the kernel as a whole, so that it cannot be killed: state D, by FUSE."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.ipc.messages import Kind
from tests.control.test_arbiter import INTERVAL_MS, control, keeping, polled, polling
from tests.support.fuse import on_fuse
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.ipc.link import Link
    from tests.control.test_arbiter import Control
    from tests.support.fuse import Stage

__all__ = ["control"]


@pytest.fixture
def file(home: Path) -> Path:
    """A file for FUSE."""
    file = home / "file"
    file.write_text("content")
    return file


@pytest.fixture
def stage(file: Path) -> Iterator[Stage]:
    """A namespace in which the file hangs."""
    with on_fuse(str(file)) as stage:
        stage.hang(str(file))
        yield stage


def hanging_in(file: Path, stage: Stage, told: Path, times: int) -> Callable[[Link], None]:
    """Return a collector that polls twice and hangs, as the first so many do. Later ones poll on.

    Each writes into `told` what control told it not to read.
    """

    def collect(link: Link) -> None:
        with told.open("a") as notes:
            number = notes.tell() // 100
            time.sleep(0.2)
            avoided = [fields for kind, *fields in link.receive() if kind == Kind.AVOID]
            notes.write(f"{avoided}".ljust(99)[:99] + "\n")
        if number >= times:
            polling(link)
        stage.enter()
        link.send(Kind.LAYOUT, "a", b"", INTERVAL_MS)
        tick = time.time_ns() // 1_000_000 // INTERVAL_MS
        for n in range(2):
            link.send(Kind.POLL, "a", (tick + n) * INTERVAL_MS, b"", "", INTERVAL_MS)
        file.read_text()

    return collect


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the rights that a namespace needs."""
    monkeypatch.setattr("tests.control.test_arbiter.become_nobody", lambda: None)
    monkeypatch.setattr("tests.control.test_arbiter.NOBODY", 0)  # root trusts no home of others


@pytest.mark.usefixtures("as_root")
def test_a_successor_starts_beside_a_collector_that_cannot_be_killed(
    control: Callable[..., Control],
    home: Path, file: Path, stage: Stage,
) -> None:  # fmt: skip
    """It is told what not to read; the status names the process; missed ticks have their reason."""
    told = home / "told"
    one = control(hanging_in(file, stage, told, 1), keeping, unresponsive_s=1.0, place="memory")
    wait_for(lambda: one.worker("collector").get("left_behind"), what="the end of patience")
    (left,) = one.worker("collector")["left_behind"]
    wait_for(lambda: polled(one) > 10, what="polls of the successor")
    assert left["place"] == "memory"
    assert one.worker("collector")["last_death"] == (
        f"process {left['pid']} hangs in the kernel, in memory"
    )
    assert list(one.status()["missed"]) == ["the collector hung"]
    assert "worker_hangs" in [trouble["code"] for trouble in one.status()["troubles"]]
    assert f"{{'memory': 'process {left['pid']}, which" in told.read_text().splitlines()[1]
    stage.answer(str(file))
    wait_for(lambda: not one.worker("collector")["left_behind"], what="its end")


@pytest.mark.usefixtures("as_root")
def test_no_more_than_two_are_left_behind(
    control: Callable[..., Control],
    home: Path, file: Path, stage: Stage,
) -> None:  # fmt: skip
    """Then control waits until one ends. Meanwhile the missed ticks are counted, and a stop is quick."""
    told = home / "told"
    one = control(hanging_in(file, stage, told, 2), keeping, unresponsive_s=1.0)
    wait_for(lambda: len(one.worker("collector").get("left_behind", ())) == 2, 40, what="two")
    assert one.worker("collector")["pid"] == 0
    wait_for(lambda: one.status()["missed"].get("the collector hung"), what="missed ticks")
    assert len(told.read_text().splitlines()) == 2
    stage.answer(str(file))
    wait_for(lambda: polled(one) > 10, what="polls of a third one")
    assert len(told.read_text().splitlines()) == 3


@pytest.mark.usefixtures("as_root")
def test_a_stop_does_not_wait_for_a_collector_that_cannot_be_killed(
    control: Callable[..., Control],
    home: Path, file: Path, stage: Stage,
) -> None:  # fmt: skip
    """Control ends in order, though it has not noticed the hang before: the uploader is closed."""
    closed = home / "closed"

    def closing(link: Link) -> None:
        keeping(link)
        closed.touch()

    one = control(hanging_in(file, stage, home / "told", 1), closing)
    wait_for(lambda: polled(one) >= 2, what="polls")
    pid = one.worker("collector")["pid"]
    os.kill(one.pid, signal.SIGTERM)
    assert one.wait() == 0
    assert closed.exists()
    assert os.path.exists(f"/proc/{pid}")  # noqa: PTH110 - one line
