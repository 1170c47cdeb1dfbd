"""The real agent with all families, and with few of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pattoo_mp.config.families import FURTHER, ORIGINAL
from pattoo_mp.receiver.decode import decode_post
from tests.support.agent import NAME
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer, Post


def configure(agent: Agent, more: tuple[str, ...], off: tuple[str, ...] = ()) -> None:
    """Configure the families that are on from the next start or reload."""
    settings = {"polling_interval": 0.2, "families": more, "families_off": off}
    agent.write(f"{NAME}.yaml", json.dumps({NAME: settings}))


def keys(post: Post) -> set[str]:
    """Return the keys in a post."""
    return {point["pattoo_key"] for point in post.datapoints()}


def test_families_are_turned_on_and_off(
    make_agent: Callable[..., Agent], server: PattooServer
) -> None:
    """All families arrive in one poll, the ledger too. After a reload only the remaining ones do."""
    agent = make_agent(port=server.port)
    configure(agent, FURTHER)
    agent.start()
    wait_for(lambda: [p for p in server.posts if "agent_delivered" in keys(p)], what="the ledger")
    expected = {"memory_total", "process_states_running", "uptime_seconds", "sockets_used"}
    wait_for(lambda: expected <= keys(server.posts[-1]), what="all in one post")
    configure(agent, ("uptime",), ORIGINAL)
    assert agent.run("--reload").returncode == 0
    only = {"uptime_seconds", "uptime_boot_time"}
    wait_for(lambda: keys(server.posts[-1]) == only, what="what is left")
    for post in server.posts:
        decode_post(post.body)  # a pattoo server accepts each post
