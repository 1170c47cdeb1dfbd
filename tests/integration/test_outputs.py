"""Several outputs of a running agent: added, changed and taken out by a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.agent import NAME
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer


def set_outputs(agent: Agent, *outputs: dict[str, Any]) -> None:
    """Write the setting into the agent's file."""
    settings = {"polling_interval": 0.1, "outputs": list(outputs)}
    agent.write(f"{NAME}.yaml", yaml.safe_dump({NAME: settings}))


def accounts(agent: Agent) -> dict[str, Any]:
    """Return the state of each output by its name."""
    return {output["name"]: output for output in agent.status()["outputs"]}


def keys(server: PattooServer, begin: int) -> set[str]:
    """Return the keys of the posts from number `begin` on."""
    return {p["pattoo_key"] for post in server.posts[begin:] for p in post.datapoints()}


def reload(agent: Agent, *outputs: dict[str, Any]) -> None:
    """Put outputs in force, without another uploader."""
    workers = sorted(agent.processes())
    set_outputs(agent, *outputs)
    done = agent.run("--reload")
    assert (done.returncode, done.stderr) == (0, "")
    assert "(outputs)" in done.stdout
    assert sorted(agent.processes()) == workers


@pytest.mark.timeout(120)
def test_outputs_are_added_changed_and_taken_out_by_a_reload(
    make_agent: Callable[..., Agent], server: PattooServer, elsewhere: PattooServer
) -> None:
    """Every change is in force at once, and the first output has every poll."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: server.posts, what="a post")
    second = {"kind": "pattoo", "name": "second", "servers": [f"http://127.0.0.1:{elsewhere.port}"]}

    reload(agent, {"kind": "pattoo"}, second)
    wait_for(lambda: elsewhere.posts, what="a post to the new output")
    assert list(accounts(agent)) == ["pattoo", "second"]
    assert "memory_used" in keys(elsewhere, 0)

    reload(agent, {"kind": "pattoo"}, {**second, "families": ["processor"]})
    begin = len(elsewhere.posts) + 2
    wait_for(lambda: len(elsewhere.posts) > begin, what="posts with other families")
    found = keys(elsewhere, begin)
    assert found
    assert all(key.startswith("cpu_") for key in found)

    reload(agent, {"kind": "pattoo"})
    assert list(accounts(agent)) == ["pattoo"]
    posts = len(elsewhere.posts)
    before = len(server.posts)
    wait_for(lambda: len(server.posts) > before + 2, what="posts to the first output")
    assert len(elsewhere.posts) <= posts + 1
    assert agent.status()["polls"]["unaccounted"] == 0
