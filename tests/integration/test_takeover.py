"""The agent takes over from the original one, and from an earlier run."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.agent import NAME, ROOT
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]

GOLDEN = json.loads((ROOT / "tests" / "data" / "golden_post.json").read_text())
AGENT_ID = GOLDEN["pattoo_agent_id"]


def test_identity_and_unsent_posts_are_taken_over(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The identity is kept. Unsent posts are sent first, in order, and their files are removed."""
    agent = make_agent(port=server.port)
    identity = agent.home / "daemon" / "agent_id" / f"{NAME}.agent_id"
    identity.parent.mkdir(parents=True)
    identity.write_text(AGENT_ID)  # without a newline, as the original writes it
    cache = agent.home / "cache" / AGENT_ID
    cache.mkdir(parents=True)
    for number in (2000, 1000):
        post = {**GOLDEN, "pattoo_agent_timestamp": number}
        (cache / f"{number}_{AGENT_ID}.json").write_text(json.dumps(post))
    (cache / f"1500_{AGENT_ID}.json").write_text("not a post")
    agent.start()
    wait_for(lambda: len(server.posts) >= 4, what="old and new posts")
    assert {post.agent_id for post in server.posts} == {AGENT_ID}
    assert [len(post.datapoints()) for post in server.posts[:2]] == [
        len(GOLDEN["pattoo_datapoints"]["datapoint_pairs"])
    ] * 2
    envelopes = [post.content["pattoo_agent_timestamp"] for post in server.posts]
    assert envelopes == sorted(set(envelopes))
    assert [path.name for path in cache.iterdir()] == [f"1500_{AGENT_ID}.json.bad"]
    assert "of the original agent: 2 delivered" in agent.run("--status").stdout


def test_the_ledger_continues_after_a_restart(make_agent: MakeAgent, server: PattooServer) -> None:
    """Polled, delivered and missed add up over two runs; the time between counts as missed."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: agent.status()["polls"]["delivered"] >= 5, what="deliveries")
    agent.stop()
    again_ms = time.time_ns() // 1_000_000
    agent.start()
    # Polls that waited from before come first.
    wait_for(lambda: server.timestamps()[-1] > again_ms, what="polls of the second run")
    status = agent.status()
    last_ms = status["polls"]["last_ms"]
    wait_for(lambda: server.timestamps()[-1] >= last_ms, what="all polls of the status")
    seen = sorted({timestamp for timestamp in server.timestamps() if timestamp <= last_ms})
    assert status["polls"]["polled"] == len(seen)
    assert status["polls"]["unaccounted"] == 0
    step = 100
    missing = sum((b - a) // step - 1 for a, b in pairwise(seen))
    assert sum(status["missed"].values()) == missing
    assert set(status["missed"]) <= {"the agent was down", "late"}
    assert "the agent was down" in {gap["reason"] for gap in status["gaps"]}


def test_a_quarantined_poll_is_kept_counted_and_shown(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The server refuses one poll, which the status shows; all others arrive, in order."""
    poison: list[int] = []

    def refuse_one(handler: object) -> bool:
        post = server.latest
        times = post.timestamps()
        if not poison and len(times) > 2:
            poison.append(times[1])
        if any(time in poison for time in times):
            handler.answer(500, b"no such thing")  # type: ignore[attr-defined]
            return False
        return True

    server.behaviour = refuse_one
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: agent.status()["polls"]["quarantined"], 60, "the quarantine")
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: len(server.timestamps()) >= polled, 60, "the others")
    seen = server.timestamps()
    assert poison[0] not in seen
    assert seen == sorted(set(seen))
    done = agent.run("--status")
    assert done.returncode == 1
    assert "Quarantine     1 poll\n" in done.stdout
    assert "1 poll set aside in the last" in done.stdout.splitlines()[1]
    assert agent.status()["polls"]["unaccounted"] == 0
    assert "no such thing" in agent.log
