"""A hub with spokes of ours and originals, all with real processes: every value once, in order, whatever dies."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import threading
import time
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.program import HUB, SPOKE
from tests.support.agent import ROOT, Agent
from tests.support.listening import Answering, Listening
from tests.support.ports import free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]

PAGE = json.loads((ROOT / "tests" / "data" / "spoke_page.json").read_bytes())
ORIGINAL: str = PAGE["pattoo_agent_id"]


class Page(Answering):
    """Answers as an original spoke."""

    def do_GET(self) -> None:  # noqa: N802 - as http.server looks for it
        """Send the captured page as of now, with the interval of the request."""
        prefix, _, interval = self.path.rpartition("/")
        if prefix != "/pattoo-agent-os":
            self.answer(404, b"<html>")
            return
        later = time.time_ns() // 1_000_000 - PAGE["pattoo_agent_timestamp"]
        page = json.loads(json.dumps(PAGE))
        page["pattoo_agent_timestamp"] += later
        for pair in page["pattoo_datapoints"]["key_value_pairs"].values():
            if pair[0] == "pattoo_timestamp":
                pair[1] += later
            if pair[0] == "pattoo_agent_polling_interval":
                pair[1] = f"{interval}000"
        self.answer(200, json.dumps(page).encode())


@pytest.fixture
def original() -> Iterator[int]:
    """The port of an original spoke."""
    port = free_port()
    listening = Listening(("127.0.0.1", port), Page)
    threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
    yield port
    listening.shutdown()
    listening.server_close()


class Cutting:
    """Forwards connections to a port, and cuts the next answers after some bytes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        #: After how many bytes to cut each of the next answers.
        self.cuts: list[int] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        left = self.cuts.pop() if self.cuts else 1 << 30
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            opened.enter_context(client)
            where = ("127.0.0.1", self._target)
            spoke = opened.enter_context(socket.create_connection(where, 10))
            spoke.sendall(client.recv(65536))
            while left > 0 and (content := spoke.recv(min(left, 65536))):
                client.sendall(content)
                left -= len(content)

    def close(self) -> None:
        """Stop to listen."""
        self._listening.close()


@pytest.fixture
def pair(make_agent: MakeAgent, server: PattooServer) -> Iterator[tuple[Agent, Agent, Cutting]]:
    """A spoke at 0.5 s and a hub that asks it every second, which are not started yet."""
    port = free_port()
    between = Cutting(port)
    hub = make_agent(program=HUB, port=server.port, interval=1)
    spoke = make_agent(program=SPOKE, port=server.port, interval=0.5)
    spoke.set_own("ip_bind_port", str(port))
    aim(hub, between.port)
    yield hub, spoke, between
    between.close()


def aim(hub: Agent, *ports: int, more: str = "") -> None:
    """Have a hub ask these ports of this host."""
    targets = ", ".join(f"{{ip_address: 127.0.0.1, ip_bind_port: {port}{more}}}" for port in ports)
    hub.set_own("ip_targets", f"[{targets}]")


def row(hub: Agent, number: int = 0) -> dict[str, Any]:
    """Return what the status says of a target."""
    found: dict[str, Any] = hub.status()["spokes"]["all"][number]
    return found


def times(server: PattooServer, agent_id: str) -> list[int]:
    """Return the times of the polls of an agent that arrived, in the order in which they did."""
    return [
        t for post in list(server.posts) if post.agent_id == agent_id for t in post.timestamps()
    ]


def well(hub: Agent, number: int = 0) -> dict[str, Any]:
    """Wait until a target has brought a poll, and return what the status says of it."""
    return wait_for(
        lambda: (
            found if (found := row(hub, number))["state"] == "well" and found["polls"] else None
        ),
        what="a poll of the spoke",
    )


def assert_agreement(hub: Agent, spoke: Agent, server: PattooServer, fewest: int) -> None:
    """Assert that spoke, hub and server agree on every poll, once the spoke polls no more."""
    # A hub that was started again knows who a spoke is with its next poll.
    wait_for(lambda: row(hub)["agent_id"], what="a poll of the spoke")
    spoke.signal("collector", "SIGSTOP")

    def at_rest() -> dict[str, Any] | None:
        polls = hub.status()["polls"]
        place = place_at(spoke)
        is_idle = not (place["in_spool"] or polls["in_spool"] or polls["in_channel"])
        return place if is_idle and place["delivered"] else None

    place = wait_for(at_rest, 90, "everything at the server")
    polls, ours, found = hub.status()["polls"], spoke.status(), row(hub)
    arrived = times(server, found["agent_id"])
    assert all(before < after for before, after in pairwise(arrived)), arrived
    # A tick that is not there is one that the ledger of the spoke tells of.
    lacking = (arrived[-1] - arrived[0]) // 500 + 1 - len(arrived)
    assert lacking <= sum(ours["missed"].values())
    assert len(arrived) == found["polls"] == polls["delivered"] == place["delivered"] >= fewest
    assert (place["dropped"], polls["dropped"]) == ({}, {})
    assert polls["unaccounted"] == ours["polls"]["unaccounted"] == 0


def place_at(spoke: Agent) -> dict[str, Any]:
    """Return the account of the hub at a spoke."""
    (place,) = [output["polls"] for output in spoke.status()["outputs"] if output["kind"] == "hub"]
    found: dict[str, Any] = place
    return found


def test_a_hub_posts_for_both_kinds_of_spokes(
    make_agent: MakeAgent, server: PattooServer, original: int
) -> None:
    """Each post has the identity of one spoke, in its body and in its URL."""
    hub = make_agent(program=HUB, port=server.port, interval=1)
    spoke = make_agent(program=SPOKE, port=server.port, interval=0.5)
    port = free_port()
    spoke.set_own("ip_bind_port", str(port))
    aim(hub, port, original)
    spoke.start()
    hub.start()
    ours, theirs = sorted((well(hub), well(hub, 1)), key=lambda found: str(found["kind"]))
    assert (ours["kind"], theirs["kind"]) == ("gapless", "page")
    assert theirs["agent_id"] == ORIGINAL
    for agent_id in (ours["agent_id"], ORIGINAL):
        wait_for(lambda agent_id=agent_id: len(times(server, agent_id)) > 3, what="posts")  # type: ignore[misc]
    for post in server.posts:
        assert post.content["pattoo_agent_id"] == post.agent_id
        points = post.datapoints()
        assert {point["pattoo_agent_id"] for point in points} == {post.agent_id}
        assert {point["pattoo_agent_program"] for point in points} == {SPOKE.name}
    done = hub.run("--status")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 well" in done.stdout
    assert json.loads(hub.run("--status", "--json").stdout)["spokes"]["well"] == 2
    checked = hub.run("--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "well: without gaps" in checked.stdout
    assert "well: an original, a page a tick" in checked.stdout
    examined = hub.run("--doctor").stdout
    assert "1 spoke well: without gaps" in examined
    assert "1 spoke well: an original, a page a tick" in examined
    hub.stop()
    spoke.stop()


def test_a_spoke_that_is_away_costs_the_others_nothing(
    make_agent: MakeAgent, server: PattooServer, original: int
) -> None:
    """Status and check name it, with the reason; a reload takes it out, and loses no poll of another."""
    hub = make_agent(program=HUB, port=server.port, interval=1)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        aim(hub, original, hanging.getsockname()[1], free_port())
        hub.start()
        well(hub, next(n for n in range(3) if row(hub, n)["name"].endswith(f":{original}")))
        wait_for(lambda: hub.status()["spokes"]["away"], what="the spoke that is away")
        wait_for(lambda: hub.status()["spokes"]["slow"], what="the spoke that hangs")
        done = hub.run("--status")
        assert " away since" in done.stdout  # a blank after the name, too
        assert "Connection refused" in done.stdout
        assert "no whole answer within 10 s" in done.stdout
        assert hub.run("--check").returncode == 1
        arrived = len(times(server, ORIGINAL))
        assert arrived > 5
        aim(hub, original)
        done = hub.run("--reload")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: hub.status()["spokes"]["count"] == 1, what="the reload")
    wait_for(lambda: len(times(server, ORIGINAL)) > arrived + 2, what="more pages")
    pages = times(server, ORIGINAL)
    status = hub.status()
    assert status["missed"] == {}
    assert all(before < after for before, after in pairwise(pages))
    assert max(after - before for before, after in pairwise(sorted({t // 100 for t in pages}))) < 20
    hub.stop()


@pytest.mark.timeout(240)
def test_every_value_arrives_once_whatever_is_killed(
    pair: tuple[Agent, Agent, Cutting], server: PattooServer
) -> None:
    """SIGKILL of control and of each worker of both, answers that are cut, and the server away."""
    hub, spoke, between = pair
    spoke.start()
    hub.start()
    well(hub)
    draw = random.Random(4)
    for victim in ("collector", "uploader", "control"):
        for agent in (hub, spoke):
            between.cuts += [draw.randrange(2000), draw.randrange(200)]
            if agent is hub:
                server.down()  # or what it had posted, and not noted yet, would come twice
            kill(agent, victim)
            taken = row(hub)["taken"]
            wait_for(partial(took_more, hub, taken), what="more polls")
            if agent is hub:
                server.up()
    assert_agreement(hub, spoke, server, 10)
    hub.stop()
    spoke.stop()


def kill(agent: Agent, victim: str) -> None:
    """Kill a process of an agent, and wait for its successor."""
    pid = agent.pid or 0 if victim == "control" else agent.worker(victim)
    os.kill(pid, signal.SIGKILL)
    if victim == "control":
        wait_for(lambda: agent.pid is None, what="its end")
        wait_for(lambda: agent.run("--start").returncode == 0, what="a new start")
    else:
        wait_for(lambda: agent.worker(victim) != pid, what="a new one")


def took_more(hub: Agent, taken: int) -> bool:
    """Whether the hub has taken more polls than that since its start."""
    return bool(row(hub)["taken"] > taken)


@pytest.mark.timeout(240)
def test_a_hub_that_was_away_misses_nothing(
    pair: tuple[Agent, Agent, Cutting], server: PattooServer
) -> None:
    """The spoke keeps what it polled meanwhile."""
    hub, spoke, _ = pair
    spoke.start()
    hub.start()
    well(hub)
    hub.stop()
    kept = spoke.status()["polls"]["polled"]
    wait_for(lambda: spoke.status()["polls"]["polled"] > kept + 20, what="polls without a hub")
    hub.start()
    assert_agreement(hub, spoke, server, 20)
    assert spoke.status()["missed"] == {}
    hub.stop()
    spoke.stop()


def test_two_targets_with_one_identity_do_not_mix(
    make_agent: MakeAgent, server: PattooServer, original: int, home: Path
) -> None:
    """The second one is refused, and says why."""
    del home
    hub = make_agent(program=HUB, port=server.port, interval=1)
    between = Cutting(original)
    try:
        aim(hub, original, between.port)
        hub.start()
        wait_for(lambda: hub.status()["spokes"]["refusing"] == 1, what="the refusal")
        (worst,) = hub.status()["spokes"]["worst"]
        assert "has the identity of" in worst["why"]
        hub.stop()
    finally:
        between.close()
