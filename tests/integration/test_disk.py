"""The real agent on disks that are full, read-only or slow."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_faults import assert_unbroken
from tests.support import shim
from tests.support.agent import NAME
from tests.support.disks import fill, mount, small
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer
    from tests.support.standstill import Host

    MakeAgent = Callable[..., Agent]


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A small disk for the cache directory."""
    with small(home / "cache") as cache:
        yield cache


@pytest.fixture
def small_daemon_disk(home: Path) -> Iterator[Path]:
    """A small disk for the daemon directory."""
    with small(home / "daemon") as daemon:
        yield daemon


def in_trouble(agent: Agent) -> bool:
    """Return whether the status reports that the spool takes nothing."""
    return "spool" in agent.status()["workers"]["uploader"]["troubles"]


def assert_recovered(agent: Agent, server: PattooServer, host: Host) -> None:
    """Assert that all polls arrive, none is missing, and the ledger balances."""
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: len(set(server.timestamps())) >= polled, 60, "all polls")
    arrived = sorted(set(server.timestamps()))
    wait_for(lambda: not in_trouble(agent), what="the end of the trouble")
    status = agent.status()
    assert_unbroken(arrived, 100, host.assert_none_missed(status))
    assert status["polls"]["dropped"] == {}
    assert status["polls"]["unaccounted"] == 0


def test_a_full_disk_does_not_stop_polling(
    make_agent: MakeAgent, server: PattooServer, small_disk: Path, host: Host
) -> None:
    """Polls wait in the channel, and the status reports it. With room again, all polls arrive."""
    agent = make_agent(port=server.port)
    agent.start()
    filler = fill(small_disk)
    wait_for(lambda: in_trouble(agent), 60, "the trouble")
    before = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["polled"] > before + 20, what="more polls")
    done = agent.run("--status")
    assert done.returncode == 1
    assert "the spool cannot store polls (database or disk is full)" in done.stdout
    control = agent.pid
    for verb in ("--restart", "--stop"):
        refused = agent.run(verb)
        assert refused.returncode == 1
        assert "in memory would be lost; expected room on the disk" in refused.stderr
        assert agent.pid == control
    filler.unlink()
    assert_recovered(agent, server, host)


def test_a_start_on_a_full_disk_gives_up_soon(make_agent: MakeAgent, small_disk: Path) -> None:
    """It does not wait until its time limit of half a minute, and leaves no process.

    It names the disk alone, and not what is left out of the polls.
    """
    agent = make_agent(interval=300)
    agent.set_own("families", "[agent]")  # left out of the first poll
    fill(small_disk)
    done = agent.run("--start")
    assert done.returncode == 1
    found = re.search(
        r"error: no poll was stored within (\d+) s \(uploader: .*No space left", done.stderr
    )
    assert found, done.stderr
    assert int(found[1]) < 30
    assert agent.processes() == []


@pytest.mark.parametrize("verb", ["--stop", "--restart"])
def test_a_forced_stop_on_a_full_disk_says_what_it_lost(
    make_agent: MakeAgent, server: PattooServer, small_disk: Path, verb: str
) -> None:
    """The number of polls in memory; the agent is stopped."""
    agent = make_agent(port=server.port)
    agent.start()
    fill(small_disk)
    wait_for(lambda: in_trouble(agent), 60, "the trouble")
    wait_for(lambda: agent.status()["polls"]["in_channel"] > 3, what="polls in memory")
    control = agent.pid
    done = agent.run(verb, "--force")
    assert re.search(
        r"^Lost from memory: \d+ polls \(database or disk is full\)$", done.stderr, re.MULTILINE
    )
    assert agent.pid != control
    if verb == "--stop":
        assert done.returncode == 0


def test_a_supervisors_stop_on_a_full_disk_logs_what_it_lost(
    make_agent: MakeAgent, server: PattooServer, small_disk: Path
) -> None:
    """SIGTERM cannot be refused."""
    agent = make_agent(port=server.port)
    agent.start()
    fill(small_disk)
    wait_for(lambda: in_trouble(agent), 60, "the trouble")
    wait_for(lambda: agent.status()["polls"]["in_channel"] > 3, what="polls in memory")
    os.kill(agent.pid or 0, signal.SIGTERM)
    wait_for(lambda: agent.pid is None, what="the end")
    assert re.search(
        r"ERROR .*\d+ polls lost from memory: the spool accepted no writes\.", agent.log
    )


def test_a_disk_that_is_full_at_the_start_does_not_stop_polling(
    make_agent: MakeAgent, server: PattooServer, small_disk: Path, host: Host
) -> None:
    """Under a supervisor, polls wait until a spool can be made."""
    filler = fill(small_disk)
    agent = make_agent(port=server.port)
    with agent.foreground(stderr=subprocess.DEVNULL) as running:
        wait_for(lambda: agent.pid == running.pid, 60, "an agent")
        wait_for(lambda: in_trouble(agent), 60, "the trouble")
        uploader = agent.worker("uploader")
        before = agent.status()["polls"]["polled"]
        wait_for(lambda: agent.status()["polls"]["polled"] > before + 20, what="more polls")
        filler.unlink()
        assert_recovered(agent, server, host)
        assert agent.worker("uploader") == uploader
        agent.stop()


def test_spooled_polls_are_sent_while_the_disk_is_full(
    make_agent: MakeAgent, server: PattooServer, small_disk: Path, host: Host
) -> None:
    """The server gets each poll once, and is not blamed. Deliveries are recorded when there is room."""
    server.down()
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: agent.status()["polls"]["in_spool"] >= 20, what="a backlog")
    filler = fill(small_disk)
    wait_for(lambda: in_trouble(agent), 60, "the trouble")
    kept = agent.status()["polls"]["in_spool"]
    server.up()
    wait_for(lambda: len(server.timestamps()) >= kept, 60, "what is in the spool")

    def has_waited_for_long() -> bool:
        status = agent.status()
        posts = status["posts"]
        since_ms = max(posts["last_ms"], status["polls"]["oldest_waiting_ms"])
        return bool(since_ms + 4 * posts["spacing_ms"] < status["now_ms"])

    wait_for(has_waited_for_long, 60, "polls that should have been posted")
    codes = [trouble["code"] for trouble in agent.status()["troubles"]]
    assert codes == ["spool_takes_nothing"]
    assert len(server.timestamps()) == len(set(server.timestamps()))
    filler.unlink()
    assert_recovered(agent, server, host)


def test_a_read_only_disk_does_not_stop_polling(
    make_agent: MakeAgent, server: PattooServer, small_disk: Path, host: Host
) -> None:
    """The file system was remounted read-only, as after a disk error."""
    agent = make_agent(port=server.port)
    agent.start()

    def between_two_uploaders() -> bool:
        # The kernel refuses this while a file is open for writing.
        uploader = agent.status()["workers"]["uploader"]["pid"]
        if uploader:
            with contextlib.suppress(ProcessLookupError):  # it may be the one killed before
                os.kill(uploader, signal.SIGKILL)
        return mount("-o", "remount,ro", small_disk)

    wait_for(between_two_uploaders, what="the remount")
    wait_for(
        lambda: "Read-only" in agent.status()["workers"]["uploader"]["last_death"],
        60,
        "an uploader that says why it cannot start",
    )
    before = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["polled"] > before + 20, what="more polls")
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert_recovered(agent, server, host)


def test_an_agent_starts_without_room_for_its_pid(
    make_agent: MakeAgent, server: PattooServer, small_daemon_disk: Path
) -> None:
    """After an orderly end the PID file is empty. The new agent locks it, and writes its number later."""
    agent = make_agent(port=server.port)
    agent.start()
    agent.stop()
    filler = fill(small_daemon_disk)
    agent.start()
    number = small_daemon_disk / "pid" / f"{NAME}.pid"
    assert number.read_text() == ""
    wait_for(server.timestamps, what="a post")
    filler.unlink()
    wait_for(lambda: number.read_text() == f"{agent.pid}\n", what="the number")
    assert agent.run("--status").returncode == 0
    agent.stop()


def test_a_sync_of_five_seconds_delays_no_poll(
    make_agent: MakeAgent, server: PattooServer, home: Path, host: Host
) -> None:
    """Each commit takes 5 s, but ticks go on, and all polls arrive in the end."""
    flag = home / "slow"
    agent = make_agent(port=server.port)
    agent.environment = shim.environment(home, shim.SLOW_SYNC, "SLOW_SYNC", flag)
    agent.start()
    wait_for(server.timestamps, what="a post")
    flag.touch()
    before = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["in_channel"] > 30, what="a channel that fills")
    wait_for(lambda: agent.status()["polls"]["polled"] > before + 60, what="more polls")
    host.assert_none_missed(agent.status())
    flag.unlink()
    assert_recovered(agent, server, host)
