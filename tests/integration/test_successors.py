"""What a killed process of the running agent leaves to its successor."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

from pattoo_mp.operate.agent import Agent as Asked
from pattoo_mp.operate.lifecycle import reload
from tests.spool.polls import LAYOUTS, poll
from tests.support.arrived import kept, sent
from tests.support.hanging import file_hangs
from tests.support.spools import AMPLE, open_spool
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]


def replace(agent: Agent, name: str) -> None:
    """Kill a worker, and wait for its successor."""
    before = agent.worker(name)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: agent.worker(name) not in {0, before}, what=f"another {name}")


def wait_for_polls(agent: Agent, count: int) -> None:
    """Wait until so many more polls were made."""
    before = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["polled"] >= before + count, what="more polls")


def test_a_collector_begins_after_the_newest_poll_of_an_earlier_agent(
    make_agent: MakeAgent,
) -> None:
    """The clock was set back meanwhile. The server would drop polls of times that it has already."""
    agent = make_agent()
    agent.spool.parent.mkdir()
    ahead_ms = time.time_ns() // 1_000_000 + 60_000
    spool = open_spool(agent.spool, AMPLE)
    spool.append([(1, poll(ahead_ms))], LAYOUTS, "earlier")
    spool.close()
    agent.start()
    wait_for_polls(agent, 3)
    replace(agent, "collector")
    wait_for_polls(agent, 3)
    status = agent.status()
    assert (status["polls"]["dropped"], status["polls"]["unaccounted"]) == ({}, 0)
    agent.stop()
    times = [time_ms for time_ms, _ in kept(agent)]
    assert times[0] == ahead_ms
    assert all(earlier < later for earlier, later in pairwise(times))


def test_a_successor_polls_no_group_at_once(make_agent: MakeAgent, server: PattooServer) -> None:
    """Only a start does, where the first tick is far away."""
    agent = make_agent(port=server.port)
    agent.set_own("intervals", "{memory: 86400}")
    agent.start()
    wait_for_polls(agent, 5)
    replace(agent, "collector")
    wait_for_polls(agent, 20)
    agent.stop()
    polls = [*sent(server), *kept(agent)]
    assert len([ms for _, ms in polls if ms == 86_400_000]) == 1


def test_an_uploader_counts_what_went_with_the_spool(make_agent: MakeAgent) -> None:
    """All files of the spool were removed, and its predecessor killed. Control knows the account."""
    agent = make_agent()
    agent.start()
    wait_for(lambda: agent.status()["polls"]["in_spool"] >= 5, what="polls in the spool")
    agent.signal("uploader", "SIGSTOP")
    before = agent.status()["polls"]["in_spool"]
    shutil.rmtree(agent.spool.parent)
    replace(agent, "uploader")
    wait_for(lambda: agent.status()["polls"]["dropped"], what="the count of what is gone")
    polls = agent.status()["polls"]
    assert polls["unaccounted"] == 0
    assert sum(polls["dropped"].values()) >= before
    wait_for_polls(agent, 3)
    assert agent.status()["polls"]["polled"] > before


def test_successors_start_with_the_settings_of_the_last_reload(
    make_agent: MakeAgent, server: PattooServer, elsewhere: PattooServer
) -> None:
    """Not with those of the agent's start."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(server.timestamps, what="a post")
    agent.set_own("servers", f"[http://127.0.0.1:{elsewhere.port}]")
    agent.set_own("families", "[uptime]")
    agent.set_own("polling_interval", "0.2")
    assert agent.run("--reload").returncode == 0
    wait_for(lambda: elsewhere.posts, what="a post to the new server")
    before, there = len(server.posts), len(elsewhere.posts)
    replace(agent, "uploader")
    replace(agent, "collector")
    wait_for_polls(agent, 5)
    wait_for(lambda: len(elsewhere.posts) > there + 1, what="more posts")
    assert len(server.posts) == before
    newest = elsewhere.posts[-1].datapoints()
    assert "uptime_seconds" in {point["pattoo_key"] for point in newest}
    assert {int(point["pattoo_agent_polling_interval"]) for point in newest} == {200}
    assert agent.status()["reload"]["waiting_for"] == []


def test_a_reload_during_a_reading_waits_for_a_reading_of_its_own(make_agent: MakeAgent) -> None:
    """The one under way may have read the files before they were changed."""
    agent = make_agent()
    agent.start()
    results: list[list[str]] = []
    with file_hangs(agent.configuration / "pattoo.yaml"):
        os.kill(agent.pid or 0, signal.SIGHUP)
        wait_for(lambda: agent.status()["reload"]["reading"], what="a reader")
        asked = Asked(agent.home / "daemon")
        thread = threading.Thread(
            target=lambda: results.append(reload(asked, agent.pid or 0, 60.0))
        )
        thread.start()
        # Refused, since it hangs: not the result of the second request.
        wait_for(lambda: agent.status()["reload"]["number"] == 1, what="the end of the first")
        assert agent.status()["reload"]["problems"]
    thread.join(60)
    assert agent.status()["reload"]["number"] >= 2
    assert results == [[]]
