"""Check the servers, and advise on failures."""

from __future__ import annotations

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from pattoo_mp.config import load
from pattoo_mp.config.values import DIRECT, NO_FILES, PATTOO, REMOTE_WRITE, Output
from pattoo_mp.doctor.finding import State
from pattoo_mp.doctor.server import ServerCheck, check_servers, findings
from tests.support.ports import free_port
from tests.support.server import PattooServer, answering, hanging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.config.values import Config
    from pattoo_mp.doctor.finding import Finding
    from tests.support.agent import Agent
    from tests.support.server import Behaviour


@pytest.fixture
def settings(make_agent: Callable[..., Agent], server: PattooServer) -> Config:
    """A configuration that names the server."""
    return load.check(make_agent(port=server.port).configuration)


def server_findings(settings: Config, **limits: float) -> list[Finding]:
    """The findings on the one server."""
    (checked,) = check_servers(settings, **limits)
    return list(findings(checked, settings))


def test_the_clock_of_a_server_that_is_well_is_known(settings: Config) -> None:
    """It is this host's clock, since the server runs here."""
    (checked,) = check_servers(settings)
    assert checked.error == ""
    assert checked.url == f"http://127.0.0.1:{settings.ip_bind_port}/pattoo/api/v1/agent/status"
    assert checked.ahead_s == pytest.approx(0, abs=3)


def test_the_clock_of_a_server_that_fails_is_known_too(
    settings: Config, server: PattooServer
) -> None:
    """Any answer has a Date header."""
    server.status_page = answering(500)
    (checked,) = check_servers(settings)
    assert checked.error == "status 500 Internal Server Error: 'no'"
    assert checked.ahead_s is not None


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (answering(500), "the server is failing, or its disk is full"),
        (answering(503), "raise its limits"),
        (answering(413), "raise its limits"),
        (answering(200, b"<html>Welcome! Log in."), "something other than pattoo answers there"),
        (answering(404), "something other than pattoo answers there"),
        (answering(302), "something other than pattoo answers there"),
        (answering(502), "check whether the server runs"),
        (answering(401), "fix what the error names"),
    ],
)
def test_the_advice_depends_on_the_answer(
    settings: Config, server: PattooServer, behaviour: Behaviour, words: str
) -> None:
    """An answer shows that the server can be reached, so the advice does not mention firewalls."""
    server.status_page = behaviour
    (found,) = server_findings(settings)
    assert words in found.advice
    assert "firewall" not in found.advice


def test_the_advice_depends_on_why_there_was_no_answer(settings: Config) -> None:
    """The server does not run, its name is unknown, or the proxy does not run."""

    def advice(**other: str | tuple[str, ...]) -> str:
        elsewhere = replace(settings, **other)  # type: ignore[arg-type]
        (found,) = server_findings(elsewhere)
        return found.advice

    port = free_port()
    nowhere = (f"http://127.0.0.1:{port}",)
    assert f"no firewall blocks port {port}" in advice(servers=nowhere)
    assert "correct the name in servers" in advice(servers=("http://pattoo.invalid",))
    assert "check that proxy names a running proxy" in advice(proxy=nowhere[0])


def test_the_advice_on_a_server_that_hangs_is_to_check_it(
    settings: Config, server: PattooServer
) -> None:
    """Both time limits lead to the same advice."""
    until = threading.Event()
    server.status_page = hanging(until)
    for bounds in ({"exchange_s": 0.2}, {"whole_s": 0.2}):
        (found,) = server_findings(settings, **bounds)
        assert found.advice.startswith("check the server, which may hang")
    until.set()


@pytest.mark.parametrize("limits", [{"exchange_s": 0.2}, {"whole_s": 0.2}])
def test_a_server_that_hangs_is_not_waited_for(
    settings: Config, server: PattooServer, limits: dict[str, float]
) -> None:
    """One limit is for an exchange, the other for all of them."""
    until = threading.Event()
    server.status_page = hanging(until)
    (checked,) = check_servers(settings, **limits)
    until.set()
    # Either the limit of one read or that of the whole check may be reached first.
    assert "timed out" in checked.error or "answer within 0.2 s" in checked.error
    assert checked.ahead_s is None


@pytest.mark.parametrize(
    ("checked", "state", "words"),
    [
        (ServerCheck("http://x/", "", 0.0123), State.OK, "http://x/ answered within 12 ms"),
        (ServerCheck("http://x/", "", 2.5), State.NOTE, "http://x/ is slow: it answered after 2.5 s"),
        (ServerCheck("http://x/", "Connection refused", 0.001), State.TROUBLE,
         "http://x/: Connection refused (after 1 ms)"),
    ],
)  # fmt: skip
def test_the_finding_on_a_server_has_its_response_time(
    settings: Config, checked: ServerCheck, state: State, words: str
) -> None:
    """A slow server is a note, one that fails is trouble."""
    (found,) = findings(checked, settings)
    assert (found.state, found.found) == (state, words)
    assert bool(found.advice) == (state is not State.OK)


def test_what_this_host_lacks_is_not_looked_for_at_the_server(
    make_agent: Callable[..., Agent],
) -> None:
    """Here an interface. No advice sends anybody to the server or a firewall."""
    agent = make_agent()
    agent.set_own("servers", "['http://[fe80::1%25nosuch0]:20201']")
    (finding,) = server_findings(load.check(agent.configuration))
    assert finding.state is State.TROUBLE
    assert "this host has no such network interface" in finding.found
    assert finding.advice.startswith("fix that on this host; it says nothing about the server")
    done = agent.run("--check")
    assert done.returncode == 1
    assert done.stderr.endswith("; expected a host that can reach it\n")


class _Receiver(BaseHTTPRequestHandler):
    """A receiver of remote write; `statuses` are its answers, and `seen` the requests."""

    statuses: ClassVar[list[int]] = []
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_POST(self) -> None:
        """Answer as told."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["X-Scope-OrgID"]))
        self.send_response(self.statuses[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def receiver() -> Iterator[int]:
    """The port of a receiver that answers 204."""
    _Receiver.statuses, _Receiver.seen = [204], []
    with HTTPServer(("127.0.0.1", 0), _Receiver) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


def of_both(settings: Config, port: int) -> Config:
    """The configuration with a second output, which writes to the receiver."""
    url = f"http://127.0.0.1:{port}/api/v1/write"
    headers = (("X-Scope-OrgID", "team"),)
    metrics = Output(REMOTE_WRITE, "metrics", (url,), NO_FILES, DIRECT, headers=headers)
    return replace(settings, given_outputs=(Output(PATTOO, PATTOO, (), NO_FILES), metrics))


def test_the_servers_of_all_outputs_are_asked_by_their_kind(
    settings: Config, receiver: int
) -> None:
    """A receiver of remote write gets a request without series, with the output's headers."""
    both = of_both(settings, receiver)
    found = [one for checked in check_servers(both) for one in findings(checked, both)]
    assert [(one.subject, one.state) for one in found] == [
        ("server of pattoo", State.OK),
        ("server of metrics", State.OK),
    ]
    assert _Receiver.seen == [("/api/v1/write", "team")]


def test_a_receiver_that_denies_access_is_named_with_its_output(
    settings: Config, receiver: int
) -> None:
    """The pattoo server beside it is well."""
    _Receiver.statuses = [401]
    both = of_both(settings, receiver)
    well, bad = (one for checked in check_servers(both) for one in findings(checked, both))
    assert well.state is State.OK
    assert (bad.subject, bad.state) == ("server of metrics", State.TROUBLE)
    assert "401" in bad.found
