"""A spoke as its command runs it: pages, hubs, kills, and other agents on the same host."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pattoo_mp.program import AUTONOMOUS, SPOKE
from tests.support.ports import at, free_port
from tests.support.prometheus import prometheus
from tests.support.pulling import Hub
from tests.support.pulling import ask_in_turn as ask
from tests.support.tls import Authority
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer


@pytest.fixture
def port() -> int:
    """Where the spoke listens."""
    return free_port()


def configure(agent: Agent, port: int, **settings: Any) -> None:  # noqa: ANN401 - as in YAML
    """Write the spoke's file."""
    own = {"polling_interval": 0.1, "ip_listen_address": "127.0.0.1", "ip_bind_port": port}
    agent.write(f"{SPOKE.name}.yaml", yaml.safe_dump({SPOKE.name: {**own, **settings}}))


@pytest.fixture
def spoke(make_agent: Callable[..., Agent], port: int) -> Agent:
    """A spoke at 10 Hz that is configured as the original, and runs."""
    agent = make_agent(program=SPOKE)
    configure(agent, port)
    agent.start()
    return agent


def account(agent: Agent, name: str) -> dict[str, Any]:
    """The account of an output, or of a hub."""
    found = {output["name"]: output["polls"] for output in agent.status()["outputs"]}
    return dict(found.get(name, {}))


def assert_adds_up(agent: Agent, name: str) -> None:
    """Assert that an account explains every poll."""
    status = agent.status()
    assert status["polls"]["unaccounted"] == 0
    own = next(output["polls"] for output in status["outputs"] if output["name"] == name)
    parts = own["delivered"] + own["in_spool"] + own["quarantined"] + own["before"]
    dropped = sum(own["dropped"].values())
    assert parts + dropped + status["polls"]["in_channel"] == status["polls"]["polled"]


def assert_complete(hub: Hub) -> None:
    """Assert that a hub has every tick once, in order, but for those that the spoke says it has missed."""
    assert hub.times == sorted(set(hub.times))
    first, last = hub.times[0], hub.times[-1]
    gaps = [gap for gap in hub.account["gaps"] if first <= gap["after_ms"] < last]
    missed = sum(gap["ticks"] for gap in gaps)
    assert len(hub.times) + missed == (last - first) // 100 + 1


def test_an_original_hub_gets_what_it_expects(spoke: Agent, port: int) -> None:
    """Its request, as captured, and what other requests are answered by the original."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(
            b"GET /pattoo-agent-os/300 HTTP/1.1\r\nAccept-Encoding: identity\r\n"
            b"Host: 127.0.0.1:5000\r\nUser-Agent: Python-urllib/3.11\r\nConnection: close\r\n\r\n"
        )
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Type: application/json" in head
    page = json.loads(body)
    assert page["pattoo_agent_polling_interval"] == 300_000
    pairs = page["pattoo_datapoints"]["key_value_pairs"].values()
    assert ["pattoo_agent_program", SPOKE.name] in pairs
    identity = spoke.home / "daemon" / "agent_id" / f"{SPOKE.name}.agent_id"
    assert page["pattoo_agent_id"] == identity.read_text().strip()
    for path, status in (
        ("/pattoo-agent-os/0", 200), ("/pattoo-agent-os", 404), ("/pattoo-agent-os/", 404),
        ("/pattoo-agent-os/300/", 404), ("/pattoo-agent-os/abc", 404), ("/pattoo-agent-os/0.5", 404),
        ("/pattoo-agent-os/-5", 404), ("/x", 404), ("/", 200), ("/healthz", 200),
    ):  # fmt: skip
        assert ask(port, path).status == status, path
    head_only = ask(port, "/pattoo-agent-os/5", "HEAD")
    assert (head_only.status, head_only.body) == (200, b"")
    assert int(head_only.headers["content-length"]) > 1000
    refused = ask(port, "/pattoo-agent-os/5", "POST", b"")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.timeout(120)
def test_a_hub_misses_nothing_through_kills(spoke: Agent, port: int) -> None:
    """Of the spoke's processes, and of its own between storing and acknowledging: each poll once, in order."""
    hub = Hub(port, "basel")
    assert hub.fetch().status == 204
    for victim in ("uploader", "collector", "uploader"):
        wait_for(lambda: hub.fetch().status == 200, what="polls")
        os.kill(spoke.worker(victim), signal.SIGKILL)
        before = len(hub.polls)
        wait_for(lambda before=before: _goes_on(hub, before), what="polls after a kill")  # type: ignore[misc]
    pid = spoke.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: spoke.pid is None, what="the end of control")
    wait_for(lambda: not spoke.processes(), what="the end of its workers")
    spoke.start()
    before = len(hub.polls)
    wait_for(lambda: _goes_on(hub, before), what="polls after the restart")
    assert hub.repeated > 0
    assert_complete(hub)
    assert_adds_up(spoke, "pull/basel")


def _goes_on(hub: Hub, before: int) -> bool:
    """Whether the hub has ten more polls; while the spoke is away it has none."""
    with contextlib.suppress(OSError):
        hub.drain()
    return len(hub.polls) > before + 10


def test_each_hub_has_its_own_place(spoke: Agent, port: int) -> None:
    """One that is away keeps its polls, and the status shows both."""
    here, away = Hub(port, "here"), Hub(port, "away")
    here.fetch()
    away.fetch()
    wait_for(lambda: here.drain() and len(here.polls) > 20, what="polls")
    waiting = wait_for(lambda: account(spoke, "pull/away").get("in_spool"), what="its account")
    assert waiting > 10
    wait_for(lambda: account(spoke, "pull/here")["delivered"] > 20, what="its account")
    away.drain()
    assert set(here.times) <= set(away.times)
    shown = spoke.run("--status").stdout
    assert "pull/here" in shown
    assert "pull/away" in shown
    assert_adds_up(spoke, "pull/here")


def test_an_answer_that_is_cut_comes_again(spoke: Agent, port: int) -> None:
    """Wherever the network was cut; nothing counts as delivered that was not acknowledged."""
    hub = Hub(port, "cut")
    hub.fetch()
    wait_for(lambda: account(spoke, "pull/cut").get("in_spool", 0) > 10, what="polls")
    for received in (1, 100, 1000, 5000):
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET /pattoo-mp/1/polls?hub=cut HTTP/1.1\r\nHost: a\r\n\r\n")
            left = received
            while left > 0 and (piece := connection.recv(left)):
                left -= len(piece)
    assert account(spoke, "pull/cut")["delivered"] == 0
    hub.drain()
    assert len(hub.polls) > 10
    assert_complete(hub)
    assert_adds_up(spoke, "pull/cut")


def test_the_health_page_says_what_the_status_says(spoke: Agent, port: int) -> None:
    """503 while `--status` exits with 1, and which trouble it is."""
    assert (ask(port, "/healthz").status, spoke.run("--status").returncode) == (200, 0)
    for _ in range(3):
        collector = spoke.worker("collector")
        os.kill(collector, signal.SIGKILL)
        wait_for(
            lambda gone=collector: spoke.status()["workers"]["collector"]["pid"] not in {0, gone},  # type: ignore[misc]
            what="another collector",
        )
    wait_for(lambda: ask(port, "/healthz").status == 503, what="a 503")
    assert b"worker_dies" in ask(port, "/healthz").body
    assert spoke.run("--status").returncode == 1


def test_bad_requests_of_hubs_are_named(spoke: Agent, port: int) -> None:
    """In one line, and the connection goes on."""
    polls, up_to = "/pattoo-mp/1/polls", "/pattoo-mp/1/polls/acknowledge"
    for path, line in (
        (polls, "hub: expected"),
        (f"{polls}?hub=a%20b", "hub: expected"),
        (f"{polls}?hub=a&max_bytes=1", "max_bytes: expected a number from 10000 to 1000000"),
        (f"{polls}?hub=a&known=x", "known: expected"),
        (f"{polls}?hub=a&hub=b", "a parameter is there twice"),
        (f"{polls}?hub=a&lease=1", "unknown parameter 'lease'"),
    ):
        answer = ask(port, path)
        assert (answer.status, line in answer.body.decode()) == (400, True), answer
    for body, status in (
        (b"", 400), (b"[]", 400), (b'{"hub":"a"}', 400), (b'{"hub":"a","up_to":true}', 400),
        (b'{"hub":"a","up_to":1.5}', 400), (b'{"hub":"a","up_to":5}', 409), (b"[" * 900, 400),
        (b"x" * 1001, 413),
    ):  # fmt: skip
        assert ask(port, up_to, "POST", body).status == status, body
    assert ask(port, polls, "DELETE").status == 405
    assert account(spoke, "pull/a") == {}


def test_a_token_is_asked_for(make_agent: Callable[..., Agent], port: int, home: Path) -> None:
    """Every page but that of the health needs it; a changed file counts at once."""
    tokens = home / "tokens"
    tokens.write_text("# hubs\nfirst-token\n")
    tokens.chmod(0o600)
    spoke = make_agent(program=SPOKE)
    configure(spoke, port, outputs=[{"kind": "pull", "tokens_file": str(tokens)}])
    spoke.start()
    denied = ask(port, "/metrics")
    assert (denied.status, denied.headers["www-authenticate"]) == (401, 'Bearer realm="pattoo_mp"')
    assert ask(port, "/metrics", Authorization="Bearer wrong").status == 401
    assert ask(port, "/metrics", Authorization="Bearer first-token").status == 200
    assert ask(port, "/healthz").status == 200
    assert Hub(port).fetch(Authorization="Bearer first-token").status == 204
    tokens.write_text("second\n")
    assert ask(port, "/", Authorization="Bearer first-token").status == 401
    assert ask(port, "/", Authorization="bearer second").status == 200
    assert "first-token" not in spoke.log


def test_it_answers_over_tls(make_agent: Callable[..., Agent], port: int, home: Path) -> None:
    """With its certificate and key."""
    authority = Authority(home)
    certificate, key = authority.files("localhost")
    spoke = make_agent(program=SPOKE)
    output = {
        "kind": "pull",
        "tls_certificate_file": str(certificate),
        "tls_key_file": str(key),
    }
    configure(spoke, port, outputs=[output])
    spoke.start()
    context = ssl.create_default_context(cafile=str(authority.file))
    with urllib.request.urlopen(
        f"https://localhost:{port}/metrics", timeout=30, context=context
    ) as answer:
        assert b"node_load1 " in answer.read()
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not plain.recv(100).startswith(b"HTTP")


def test_a_reload_listens_elsewhere_and_keeps_the_places(spoke: Agent, port: int) -> None:
    """No poll is lost for a hub that finds the new address."""
    hub = Hub(port)
    hub.fetch()
    wait_for(lambda: hub.drain() and len(hub.polls) > 5, what="polls")
    other = free_port()
    configure(spoke, other)
    done = spoke.run("--reload")
    assert (done.returncode, done.stderr) == (0, "")
    hub.port = other
    wait_for(lambda: _answers(other), what="the new address")
    before = len(hub.polls)
    wait_for(lambda: _goes_on(hub, before), what="polls at the new address")
    assert_complete(hub)
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/")


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return ask(port, "/").status == 200
    return False


def test_a_port_that_is_taken_is_a_trouble_of_this_host(
    make_agent: Callable[..., Agent], port: int
) -> None:
    """Named, and over once it is free; the polls wait meanwhile."""
    spoke = make_agent(program=SPOKE)
    configure(spoke, port)
    with socket.create_server(("127.0.0.1", port)):
        spoke.start()
        why = wait_for(
            lambda: spoke.status()["workers"]["uploader"]["troubles"].get("posts"), what="a trouble"
        )
        assert why == f"cannot listen at 127.0.0.1:{port}: Address already in use"
        assert account(spoke, "pull")["in_spool"] > 0
    wait_for(lambda: _answers(port), what="an answer")
    wait_for(lambda: not spoke.status()["workers"]["uploader"]["troubles"], what="no trouble")


def test_a_reload_to_another_port_ends_the_trouble_with_one(
    make_agent: Callable[..., Agent], port: int
) -> None:
    """It was one of the output as it had been."""
    spoke = make_agent(program=SPOKE)
    configure(spoke, port)
    with socket.create_server(("127.0.0.1", port)):
        spoke.start()
        wait_for(lambda: spoke.status()["workers"]["uploader"]["troubles"], what="a trouble")
        configure(spoke, free_port())
        assert spoke.run("--reload").returncode == 0
        wait_for(lambda: not spoke.status()["workers"]["uploader"]["troubles"], what="no trouble")


@pytest.mark.timeout(120)
def test_agents_on_one_host_do_not_touch_each_other(
    make_agent: Callable[..., Agent], port: int, server: PattooServer
) -> None:
    """With one pattoo.yaml: each has its own files, and a stop, a reload and a status are of one."""
    autonomous = make_agent(program=AUTONOMOUS, port=server.port)
    spoke = make_agent(program=SPOKE, port=server.port)
    configure(spoke, port)
    autonomous.start()
    spoke.start()
    wait_for(lambda: server.posts and _answers(port), what="both")
    home = spoke.home
    for name in (AUTONOMOUS.name, SPOKE.name):
        assert (home / "daemon" / "pid" / f"{name}.pid").exists()
        assert (home / "daemon" / "run" / f"{name}.sock").exists()
        assert (home / "daemon" / "agent_id" / f"{name}.agent_id").exists()
        assert (home / "cache" / f"{name}.spool.sqlite").exists()
    assert {path.name for path in (home / "log").iterdir()} == {"pattoo.log", f"{SPOKE.name}.log"}
    assert autonomous.status()["control"]["pid"] != spoke.status()["control"]["pid"]
    assert spoke.run("--status").stdout.startswith(f"Daemon is running - {SPOKE.name}\n")
    assert autonomous.run("--reload").returncode == 0
    autonomous.stop()
    assert autonomous.run("--status").returncode == 3
    assert _answers(port)
    spoke.stop()
    assert SPOKE.name not in autonomous.log
    assert AUTONOMOUS.name not in spoke.log


def test_an_autonomous_agent_can_be_asked_too(
    make_agent: Callable[..., Agent], port: int, server: PattooServer
) -> None:
    """Beside its posts; by default at this host only."""
    agent = make_agent(port=server.port)
    outputs = [{"kind": "pattoo"}, {"kind": "pull", "listen": f"127.0.0.1:{port}"}]
    agent.write(
        f"{AUTONOMOUS.name}.yaml",
        yaml.safe_dump({AUTONOMOUS.name: {"polling_interval": 0.1, "outputs": outputs}}),
    )
    agent.start()
    hub = Hub(port)
    hub.fetch()
    wait_for(lambda: server.posts and hub.drain() and len(hub.polls) > 5, what="polls of both")
    assert b'"pattoo_agent_os_autonomousd"' in ask(port, "/pattoo-agent-os/5").body
    assert_adds_up(agent, "pattoo")
    assert_adds_up(agent, "pull/hub")


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("spoke")
def test_prometheus_scrapes_it_every_second(port: int, tmp_path: Path) -> None:
    """Debian's: each scrape succeeds, and the figures are there under node_exporter's names."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: Debian's package prometheus has it")
    scraping = {
        "job_name": "spokes",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
    }
    with prometheus(tmp_path / "prometheus", scraping=scraping) as store:
        wait_for(lambda: len(_values(store.samples('up{job="spokes"}'))) >= 5, what="five scrapes")
        ups = _values(store.samples('up{job="spokes"}'))
        assert set(ups) == {1.0}
        assert len(_values(store.samples("node_load1"))) >= 3
        (metadata,) = json.load(
            urllib.request.urlopen(
                f"{at(store.port)}/api/v1/metadata?metric=node_load1", timeout=30
            )
        )["data"]["node_load1"]
        assert metadata["type"] == "gauge"
        assert "average of the last minute" in metadata["help"]
        assert "level=" not in (tmp_path / "prometheus" / "log").read_text()


def _values(samples: dict[Any, list[tuple[int, float]]]) -> list[float]:
    return [value for series in samples.values() for _, value in series]
