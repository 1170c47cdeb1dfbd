"""The name of the host, from a name service that changes its mind or does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import shim
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]


@pytest.fixture
def agent(make_agent: MakeAgent, server: PattooServer, home: Path) -> Agent:
    """An agent on a host that is called web1."""
    (home / "name").write_text("web1")
    named = shim.environment(home, shim.NAME_SERVICE, "NAME_SERVICE", home / "name")
    return make_agent(port=server.port, environment=named)


def names(server: PattooServer) -> set[str]:
    """The host names in all posts."""
    return {
        value
        for post in server.posts
        for key, value in post.content["pattoo_datapoints"]["key_value_pairs"].values()
        if key == "pattoo_agent_hostname"
    }


def run(agent: Agent, server: PattooServer) -> None:
    """Start the agent, and wait until some polls have arrived."""
    agent.start()
    more(server)


def more(server: PattooServer) -> None:
    """Wait until some more polls arrive."""
    arrived = len(server.timestamps())
    wait_for(lambda: len(server.timestamps()) > arrived + 5, what="posts")


def test_charts_go_on_when_the_name_service_gives_another_name(
    agent: Agent, server: PattooServer, home: Path
) -> None:
    """It is logged, and shown by --doctor. It is followed when the file of the kept name is removed."""
    run(agent, server)
    agent.stop()
    (home / "name").write_text("web1.example.org")
    run(agent, server)
    assert names(server) == {"web1"}
    line = "This host is called web1.example.org now. Its polls keep the name web1"
    wait_for(lambda: line in agent.log, what="the line in the log")
    assert "web1 is kept; the host is called web1.example.org now" in agent.run("--doctor").stdout
    assert "web1.example.org" not in agent.run("--once").stdout
    agent.stop()
    (kept,) = home.glob("daemon/agent_id/*.hostname")
    kept.unlink()
    run(agent, server)
    assert names(server) == {"web1", "web1.example.org"}


def test_a_mute_name_server_delays_no_start(agent: Agent, server: PattooServer, home: Path) -> None:
    """The name is known from the last start; nothing at all is logged about it."""
    run(agent, server)
    agent.stop()
    (home / "name").write_text("mute")
    run(agent, server)
    agent.signal("uploader", "SIGKILL")
    more(server)
    assert names(server) == {"web1"}
    assert "name server" not in agent.log


def test_a_first_start_with_a_mute_name_server_takes_the_hosts_own_name(
    agent: Agent, server: PattooServer, home: Path
) -> None:
    """After a limit, and with a line in the log."""
    (home / "name").write_text("mute")
    run(agent, server)
    assert len(names(server)) == 1
    assert "No name server has answered within 3 s: polls carry the host's short name" in agent.log
