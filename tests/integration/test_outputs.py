"""Several outputs of a running agent: added, changed and taken out by a reload."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.agent import NAME, ROOT
from tests.support.ports import free_port
from tests.support.prometheus import prometheus, victoria_metrics
from tests.support.proxy import ForwardProxy
from tests.support.server import hanging
from tests.support.tls import Authority
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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


@pytest.mark.timeout(120)
def test_the_account_of_an_output_that_came_later_adds_up(
    make_agent: Callable[..., Agent], server: PattooServer, elsewhere: PattooServer
) -> None:
    """The polls before it are shown, while there are several outputs and once it is the only one."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: agent.status()["polls"]["delivered"] > 5, what="polls before it")
    second = {"kind": "pattoo", "name": "second", "servers": [f"http://127.0.0.1:{elsewhere.port}"]}
    reload(agent, {"kind": "pattoo"}, second)
    wait_for(lambda: accounts(agent)["second"]["polls"]["delivered"], what="a delivered poll")
    before = accounts(agent)["second"]["polls"]["before"]
    assert before > 5
    assert accounts(agent)["pattoo"]["polls"]["before"] == 0
    assert f"second: {before} polls before it was configured" in agent.run("--status").stdout
    assert_adds_up(agent)
    reload(agent, second)
    assert_adds_up(agent)
    assert f", {before} before this output was configured" in agent.run("--status").stdout


def assert_adds_up(agent: Agent) -> None:
    """Assert that the account of every output explains every poll."""
    status = agent.status()
    for output in status["outputs"]:
        own = output["polls"]
        explained = own["before"] + own["delivered"] + own["in_spool"] + own["quarantined"]
        dropped = sum(own["dropped"].values())
        assert explained + dropped + status["polls"]["in_channel"] == status["polls"]["polled"]


def of_server(server: PattooServer, key: str) -> dict[int, float]:
    """Return what a pattoo server has of a key, by time."""
    return {
        point["pattoo_timestamp"]: float(point["pattoo_value"])
        for post in server.posts
        for point in post.datapoints()
        if point["pattoo_key"] == key
    }


def stopped_with_nothing_waiting(agent: Agent) -> None:
    """End the agent once every output has all polls that were made."""
    os.kill(agent.worker("collector"), signal.SIGSTOP)
    wait_for(
        lambda: all(not o["polls"]["in_spool"] for o in agent.status()["outputs"] if o["name"] != "hung"),
        60, "empty spool",
    )  # fmt: skip
    assert agent.status()["polls"]["unaccounted"] == 0
    agent.end()


@pytest.mark.timeout(300)
def test_every_receiver_has_what_was_polled_through_kills_while_one_hangs(
    tmp_path: Path,
    make_agent: Callable[..., Agent],
    server: PattooServer,
    elsewhere: PattooServer,
) -> None:
    """The values at a pattoo server, Prometheus and VictoriaMetrics are equal, sample for sample."""
    until = threading.Event()
    elsewhere.behaviour = hanging(until)
    agent = make_agent(port=server.port)
    with prometheus(tmp_path / "p") as one, victoria_metrics(tmp_path / "v") as other:
        set_outputs(
            agent,
            {"kind": "pattoo", "name": "hung", "servers": [f"http://127.0.0.1:{elsewhere.port}"]},
            {"kind": "pattoo"},
            {"kind": "remote_write", "name": "one", "url": one.url, "naming": "pattoo"},
            {"kind": "remote_write", "name": "other", "url": other.url, "naming": "pattoo"},
        )
        agent.start()
        for worker in ("uploader", "collector", "uploader", "control"):
            posts = len(server.posts)
            wait_for(lambda posts=posts: len(server.posts) > posts + 1, 60, "posts")  # type: ignore[misc]
            if worker != "control":
                os.kill(agent.worker(worker), signal.SIGKILL)
                continue
            assert agent.pid
            os.kill(agent.pid, signal.SIGKILL)
            wait_for(lambda: agent.run("--start").returncode == 0, 60, "another start")
        posts = len(server.posts)
        wait_for(lambda: len(server.posts) > posts + 1, 60, "posts")
        stopped_with_nothing_waiting(agent)
        until.set()

        polled = of_server(server, "memory_used")
        assert len(polled) > 30
        ((_, at_one),) = one.samples("pattoo_memory_used").items()
        assert dict(at_one) == polled
        other.flush()
        found = other.exported("pattoo_memory_used")
        # What came twice, since a kill cost an answer, VictoriaMetrics stores twice.
        assert {
            time: value
            for series in found
            for time, value in zip(series["timestamps"], series["values"], strict=True)
        } == polled


@pytest.mark.timeout(180)
def test_a_receiver_behind_tls_credentials_a_tenant_and_a_proxy(
    home: Path, make_agent: Callable[..., Agent]
) -> None:
    """An output's own files, headers and proxy lead there. What is wrong is named."""
    authority = Authority(home)
    proxy = ForwardProxy("Basic YWdlbnQ6cHJveHk=")
    for name, secret in (
        ("token", "of-us"),
        ("wrong", "no"),
        ("pass", "agent:proxy"),
        ("bad", "agent:no"),
    ):
        (home / name).touch(mode=0o600)
        (home / name).write_text(secret)
    certificate, key = map(str, authority.client())
    agent = make_agent()
    with victoria_metrics(home / "v") as store, tls_in_front(home, authority, store.port) as port:
        output = {
            "kind": "remote_write", "name": "metrics", "url": f"https://127.0.0.1:{port}/api/v1/write",
            "naming": "pattoo", "labels": {"site": "basel"}, "families": ["memory"],
            "headers": {"X-Scope-OrgID": "team"}, "tls_ca_file": str(authority.file),
            "tls_certificate_file": certificate, "tls_key_file": key, "credentials_file": str(home / "token"),
            "proxy": f"http://127.0.0.1:{proxy.port}", "proxy_credentials_file": str(home / "pass"),
        }  # fmt: skip
        for wrong, words in (
            ({"credentials_file": str(home / "wrong")}, "status 401 Unauthorized: .*credentials_file"),
            ({"headers": {"X-Scope-OrgID": "x"}}, "status 403 Forbidden: .*a tenant goes into headers"),
            ({"tls_ca_file": certificate}, "not trusted here .*tls_ca_file"),
            ({"proxy_credentials_file": str(home / "bad")}, "status 407 .*proxy_credentials_file"),
        ):  # fmt: skip
            set_outputs(agent, {**output, **wrong})
            done = agent.run("--check")
            assert done.returncode == 1
            assert re.search(words, done.stderr), done.stderr
        set_outputs(agent, output)
        assert agent.run("--check").returncode == 0
        agent.start()
        wait_for(
            lambda: accounts(agent)["metrics"]["polls"]["delivered"] > 10, 60, "delivered polls"
        )
        assert all(line.startswith("CONNECT ") for line in proxy.lines)
        store.flush()
        metrics = [series["metric"] for series in store.exported('{__name__=~".+"}')]
    proxy.close()
    assert {metric["site"] for metric in metrics} == {"basel"}
    names = {metric["__name__"] for metric in metrics}
    assert "pattoo_memory_used" in names
    assert all(re.match("pattoo_(swap_)?memory_|pattoo_host_info", name) for name in names)


@contextmanager
def tls_in_front(home: Path, authority: Authority, port: int) -> Iterator[int]:
    """Run nginx with TLS in front of a port, for one token and one tenant. Yield nginx's port."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is not installed")
    home.chmod(0o755)  # nginx, run by root, switches to another user
    listens = free_port()
    certificate, key = authority.files("127.0.0.1")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (home / "nginx.conf").write_text(
        f"daemon off; pid {home}/pid; error_log {home}/nginx.log; events {{}} http {{ access_log off; "
        + " ".join(f"{kind}_temp_path {home}/{kind};" for kind in kinds)
        + f" server {{ listen 127.0.0.1:{listens} ssl; ssl_certificate {certificate}; "
        f"ssl_certificate_key {key}; ssl_client_certificate {authority.file}; ssl_verify_client on; "
        'location / { if ($http_authorization != "Bearer of-us") { return 401; } '
        "if ($http_x_scope_orgid != team) { return 403; } "
        f"proxy_pass http://127.0.0.1:{port}; }} }} }}"
    )
    command = [
        program,
        "-p",
        str(home),
        "-c",
        str(home / "nginx.conf"),
        "-e",
        str(home / "nginx.log"),
    ]
    with subprocess.Popen(command) as running:
        try:
            wait_for(lambda: listening(listens), what="nginx")
            yield listens
        finally:
            running.terminate()
            running.wait(20)


def listening(port: int) -> bool:
    """Whether a program listens on a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.mark.timeout(120)
def test_the_first_example_of_the_page_about_prometheus_works(
    tmp_path: Path, make_agent: Callable[..., Agent]
) -> None:
    """Its configuration starts an agent, and its query finds a value at VictoriaMetrics."""
    page = (ROOT / "docs" / "prometheus.md").read_text()
    (example,) = re.findall(r"<<END\n(.*?)^END$", page, re.MULTILINE | re.DOTALL)
    ((port, query),) = re.findall(r"localhost:(\d+)/api/v1/query\?query=(\w+)'", page)
    agent = make_agent()
    with victoria_metrics(tmp_path / "v") as store:
        assert f":{port}/api/v1/write" in example
        agent.write(f"{NAME}.yaml", example.replace(f":{port}/", f":{store.port}/"))
        agent.set_own("polling_interval", "1")
        agent.start()
        wait_for(lambda: store.query(query), 60, "a value of the page's query")
        names = {series["metric"]["__name__"] for series in store.query('{__name__=~".+"}')}
    # Of each family that the example switches on, for the page's table of dashboards.
    assert {"node_cpu_seconds_total", "node_filesystem_files", "node_boot_time_seconds"} <= names
