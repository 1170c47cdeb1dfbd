"""Reload the settings of a running agent."""

from __future__ import annotations

import os
import signal
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent as Asked
from pattoo_mp.operate.lifecycle import reload
from tests.support.agent import NAME
from tests.support.arrived import assert_every_tick_is_there, book, kept, sent
from tests.support.hanging import file_hangs
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer
    from tests.support.standstill import Host

    MakeAgent = Callable[..., Agent]


def set_interval(agent: Agent, seconds: float | str) -> None:
    """Write another polling_interval into the agent's file."""
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: {seconds}\n")


def set_in_shared(agent: Agent, old: str, new: str) -> None:
    """Replace text in pattoo.yaml."""
    text = (agent.configuration / "pattoo.yaml").read_text()
    assert old in text
    agent.write("pattoo.yaml", text.replace(old, new))


def hang_up(agent: Agent) -> None:
    """Send SIGHUP to control, and wait until both workers have applied the settings."""
    before = agent.status()["reload"]["number"]
    os.kill(agent.pid or 0, signal.SIGHUP)
    wait_for(lambda: agent.status()["reload"]["number"] > before, what="a reading")
    wait_for(lambda: not agent.status()["reload"]["waiting_for"], what="the workers")


def open_in(pid: int) -> int:
    """Return the number of descriptors that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def wait_for_polls(agent: Agent, count: int = 1) -> None:
    """Wait until so many more polls were made."""
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["polled"] >= polled + count, what="more polls")


def sizes(server: PattooServer, interval_ms: int) -> list[int]:
    """Return the number of polls in each post that has polls of this interval."""
    return [
        len(post.timestamps())
        for post in server.posts
        if any(int(p["pattoo_agent_polling_interval"]) == interval_ms for p in post.datapoints())
    ]


@pytest.mark.timeout(120)
def test_twenty_changes_of_the_interval_miss_no_tick(
    make_agent: MakeAgent, server: PattooServer, host: Host
) -> None:
    """From 0.1 s to 0.2 s and back, twenty times: every tick of the schedule in force is there."""
    agent = make_agent(port=server.port)
    agent.start()
    workers = sorted(agent.processes())
    for _ in range(20):
        set_interval(agent, 0.2)
        done = agent.run("--reload")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"Daemon is reloaded - {NAME} (polling_interval)\n"
        wait_for_polls(agent)
        set_interval(agent, 0.1)
        hang_up(agent)
        wait_for_polls(agent)
    status = agent.status()
    assert sorted(agent.processes()) == workers
    assert (status["polls"]["dropped"], status["polls"]["unaccounted"]) == ({}, 0)
    agent.stop()
    polls = [*sent(server), *kept(agent)]
    assert sum(old != new for (_, old), (_, new) in pairwise(polls)) == 40
    assert_every_tick_is_there(polls, host.assert_none_missed(book(agent)))


def test_the_spacing_of_posts_follows_the_interval(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """At 0.1 s posts hold the polls of two seconds; after a reload to 1 s they hold one each."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: any(18 <= size <= 22 for size in sizes(server, 100)), what="two seconds")
    assert agent.status()["posts"]["spacing_ms"] == 2000
    set_interval(agent, 1)
    assert agent.run("--reload").returncode == 0
    wait_for(lambda: sizes(server, 1000)[-3:] == [1, 1, 1], what="a post for each poll")
    assert agent.status()["posts"]["spacing_ms"] == 1000


def test_each_changed_setting_takes_effect_at_once(
    make_agent: MakeAgent, server: PattooServer, elsewhere: PattooServer, host: Host
) -> None:
    """Server, interval, log level and process titles, in one reload."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(server.posts.copy, what="a post")
    set_interval(agent, 0.2)
    set_in_shared(agent, f"ip_bind_port: {server.port}", f"ip_bind_port: {elsewhere.port}")
    agent.set_shared("log_level", "debug")
    done = agent.run("--reload")
    assert done.returncode == 0, done.stderr
    assert "(log_level, ip_bind_port, polling_interval)" in done.stdout
    wait_for(lambda: {interval for _, interval in sent(elsewhere)} >= {200}, what="polls there")
    wait_for(lambda: "Delivered " in agent.log, what="a line of the level debug")
    titles = {Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0") for pid in agent.processes()}
    assert titles == {
        f"{NAME}: control",
        f"{NAME}: collector every 0.2 s",
        f"{NAME}: uploader to 127.0.0.1 port {elsewhere.port}",
    }
    assert agent.status()["posts"]["server"].startswith(f"http://127.0.0.1:{elsewhere.port}/")
    polls = [*sent(server), *sent(elsewhere)]
    assert_every_tick_is_there(polls, host.assert_none_missed(agent.status()))
    assert "steps of the newest interval" in agent.log


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [(f"{NAME}.yaml", "0.1", "never"), (f"{NAME}.yaml", ": 0.1", " 0.1"),
     ("pattoo.yaml", "/cache", "\0"), ("pattoo.yaml", "pattoo_agent_api", "pattoo_agent_api: 7 #")],
)  # fmt: skip
def test_a_bad_configuration_is_refused_with_the_lines_of_a_start(
    make_agent: MakeAgent, file: str, old: str, new: str
) -> None:
    """The exit status is 2. The agent keeps its settings, and its status and log have the reason."""
    agent = make_agent()
    agent.start()
    text = (agent.configuration / file).read_text()
    agent.write(file, text.replace(old, new))
    done, start = agent.run("--reload"), agent.run("--foreground")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == start.stderr
    if file == "pattoo.yaml":
        # The caller cannot find the agent any more; the agent knows where its files are.
        assert agent.status()["reload"]["number"] == 0
        hang_up(agent)
    reload = agent.status()["reload"]
    assert reload["number"] == 1
    for line in done.stderr.splitlines():
        problem = line.removeprefix(f"{NAME}: error: ")
        assert problem in reload["problems"]
        assert f"refused: {problem}" in agent.log
    wait_for_polls(agent)
    assert agent.status()["interval_ms"] == 100
    agent.write(file, text)
    assert agent.run("--reload").returncode == 0


def test_files_that_hang_are_refused_and_cost_no_tick(
    make_agent: MakeAgent, server: PattooServer, host: Host
) -> None:
    """Control answers in the meantime. The reader is abandoned, and nothing of it remains."""
    agent = make_agent(port=server.port)
    agent.start()
    processes = sorted(agent.processes())
    with file_hangs(agent.configuration / "pattoo.yaml"):
        os.kill(agent.pid or 0, signal.SIGHUP)
        wait_for(lambda: agent.status()["reload"]["reading"], what="a reader")
        wait_for_polls(agent)
        assert agent.status()["reload"]["number"] == 0
        wait_for(lambda: agent.status()["reload"]["number"], what="its end")
        (problem,) = agent.status()["reload"]["problems"]
        assert problem.endswith("no answer within 5 s; expected files that can be read")
    assert agent.run("--reload").returncode == 0
    assert sorted(agent.processes()) == processes
    wait_for_polls(agent)
    agent.stop()
    polls = [*sent(server), *kept(agent)]
    assert_every_tick_is_there(polls, host.assert_none_missed(book(agent)))


def test_a_stop_does_not_wait_for_files_that_hang(make_agent: MakeAgent) -> None:
    """Neither do the workers. The reader is ended."""
    agent = make_agent()
    agent.start()
    control = agent.pid or 0
    with file_hangs(agent.configuration / "pattoo.yaml"):
        os.kill(control, signal.SIGHUP)
        wait_for(lambda: agent.status()["reload"]["reading"], what="a reader")
        os.kill(control, signal.SIGTERM)
        wait_for(lambda: not agent.processes(), what="the end of all processes")
    assert "Stopped." in agent.log
    assert "configuration refused" not in agent.log


def test_a_worker_started_during_a_reading_inherits_nothing_of_it(
    make_agent: MakeAgent,
) -> None:
    """It has the same descriptors as the worker before it."""
    agent = make_agent()
    agent.start()
    before = agent.worker("collector")
    wait_for_polls(agent, 2)
    held = open_in(before)
    with file_hangs(agent.configuration / "pattoo.yaml"):
        os.kill(agent.pid or 0, signal.SIGHUP)
        wait_for(lambda: agent.status()["reload"]["reading"], what="a reader")
        agent.signal("collector", "SIGKILL")
        wait_for(lambda: agent.worker("collector") not in {0, before}, what="another collector")
        wait_for_polls(agent, 2)
        # In the middle of a poll the collector has files of /proc open, too.
        wait_for(lambda: open_in(agent.worker("collector")) <= held, what="no more than that")


def test_a_setting_that_needs_a_restart_is_refused_with_all_the_others(
    make_agent: MakeAgent,
) -> None:
    """One line names it, and nothing of the new configuration is in force."""
    agent = make_agent()
    agent.start()
    set_interval(agent, 0.2)
    set_in_shared(agent, f"{agent.home}/cache", f"{agent.home}/other")
    done = agent.run("--reload")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"{NAME}: error: {agent.configuration}/pattoo.yaml: pattoo: cache_directory: "
        f"'{agent.home}/other'; expected '{agent.home}/cache', as in the running agent: "
        f"a change needs a restart\n"
    )
    assert not (agent.home / "other").exists()
    assert agent.status()["interval_ms"] == 100


def test_the_files_of_the_agent_count_and_not_those_of_the_caller(make_agent: MakeAgent) -> None:
    """The caller's configuration is valid, the agent's own is refused."""
    agent = make_agent()
    agent.start()
    other = agent.home / "other"
    other.mkdir()
    for file in agent.configuration.iterdir():
        (other / file.name).write_text(file.read_text())
    set_interval(agent, "never")
    agent.environment["PATTOO_CONFIGDIR"] = str(other)
    done = agent.run("--reload")
    assert done.returncode == 2
    assert f"{agent.configuration}/{NAME}.yaml" in done.stderr


def test_reload_of_a_stopped_agent_exits_3(make_agent: MakeAgent) -> None:
    """As --status does."""
    agent = make_agent()
    done = agent.run("--reload")
    assert (done.returncode, done.stdout) == (3, agent.stopped)


def test_many_sighups_to_the_whole_group_end_no_process(make_agent: MakeAgent, host: Host) -> None:
    """As from a closed terminal or kill -HUP: the same processes go on, and reload."""
    agent = make_agent()
    agent.start()
    set_interval(agent, 0.2)
    before = sorted(agent.processes())
    for _ in range(50):
        os.killpg(agent.pid or 0, signal.SIGHUP)
    wait_for(lambda: agent.status()["interval_ms"] == 200, what="the new interval")
    wait_for_polls(agent)
    # Another reader may have one open.
    wait_for(lambda: sorted(agent.processes()) == before, what="the same processes")
    status = agent.status()
    assert 1 <= status["reload"]["number"] <= 50
    assert status["polls"]["unaccounted"] == 0
    host.assert_none_missed(status)


@pytest.mark.parametrize("victim", ["collector", "uploader"])
def test_a_worker_killed_before_a_reload_is_replaced_with_the_new_settings(
    make_agent: MakeAgent, server: PattooServer, victim: str, host: Host
) -> None:
    """SIGKILL just before a reload."""
    agent = make_agent(port=server.port)
    agent.start()
    for seconds in (0.2, 0.1, 0.2):
        set_interval(agent, seconds)
        os.kill(agent.worker(victim), signal.SIGKILL)
        assert agent.run("--reload").returncode == 0
        wait_for_polls(agent)
        assert agent.status()["interval_ms"] == seconds * 1000
    status = agent.status()
    missed = {gap["reason"] for gap in status["gaps"] if not host.excuses(gap)}
    assert missed <= ({"the collector was down"} if victim == "collector" else set())
    assert (status["polls"]["dropped"], status["polls"]["unaccounted"]) == ({}, 0)
    assert status["workers"][victim]["restarts"] == 3
    assert status["reload"]["waiting_for"] == []


def test_a_reload_during_a_start_is_not_lost(make_agent: MakeAgent) -> None:
    """After a SIGHUP to the new control process the agent starts, and has read its files again."""
    agent = make_agent()
    with agent.foreground(
        start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as control:  # fmt: skip
        wait_for(lambda: agent.pid == control.pid, what="its lock")
        control.send_signal(signal.SIGHUP)
        wait_for(lambda: agent.status()["reload"]["number"] == 1, what="the reload")
        wait_for_polls(agent)
        agent.stop()
        assert control.wait(20) == 0


def test_a_worker_that_has_not_applied_the_settings_is_named(make_agent: MakeAgent) -> None:
    """A stopped collector applies them only once it is continued."""
    agent = make_agent()
    agent.start()
    set_interval(agent, 0.2)
    agent.signal("collector", "SIGSTOP")

    def complaint() -> str:
        with pytest.raises(PattooError) as caught:
            reload(Asked(agent.home / "daemon"), agent.pid or 0, within_s=0.5)
        return str(caught.value)

    # On a busy host the reader may need longer than that.
    wait_for(lambda: "but not yet used by the collector" in complaint(), what="its name")
    assert agent.status()["reload"]["waiting_for"] == ["collector"]
    agent.signal("collector", "SIGCONT")
    wait_for(lambda: not agent.status()["reload"]["waiting_for"], what="the collector")
    wait_for(lambda: agent.status()["interval_ms"] == 200, what="the new interval")
