"""The server, asked as a person asks."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import load
from pattoo_mp.doctor.finding import State
from pattoo_mp.doctor.server import Asked, ask_each, findings
from tests.support.ports import free_port
from tests.support.server import PattooServer, answering, hanging

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.config.values import Config
    from pattoo_mp.doctor.finding import Finding
    from tests.support.agent import Agent
    from tests.support.server import Behaviour


@pytest.fixture
def settings(make_agent: Callable[..., Agent], server: PattooServer) -> Config:
    """They name the server."""
    return load.check(make_agent(port=server.port).configuration)


def told(settings: Config, **bounds: float) -> list[Finding]:
    """What is found of the one server."""
    (asked,) = ask_each(settings, **bounds)
    return list(findings(asked, settings))


def test_a_server_that_is_well_tells_its_time(settings: Config) -> None:
    """Ours, for it runs on this host."""
    (asked,) = ask_each(settings)
    assert asked.error == ""
    assert asked.url == f"http://127.0.0.1:{settings.ip_bind_port}/pattoo/api/v1/agent/status"
    assert asked.ahead_s == pytest.approx(0, abs=3)


def test_a_server_that_is_ill_tells_its_time_too(settings: Config, server: PattooServer) -> None:
    """Whatever it answers."""
    server.status_page = answering(500)
    (asked,) = ask_each(settings)
    assert asked.error == "status 500 Internal Server Error: 'no'"
    assert asked.ahead_s is not None


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (answering(500), "the server is ill, or its disk is full"),
        (answering(503), "raise its limits"),
        (answering(413), "raise its limits"),
        (answering(200, b"<html>Welcome! Log in."), "something that is not pattoo answers there"),
        (answering(404), "something that is not pattoo answers there"),
        (answering(302), "something that is not pattoo answers there"),
        (answering(502), "look whether the server runs"),
        (answering(401), "mend what it names"),
    ],
)
def test_what_to_do_follows_from_what_was_answered(
    settings: Config, server: PattooServer, behaviour: Behaviour, words: str
) -> None:
    """That the server can be reached is known then, and not asked to be seen to."""
    server.status_page = behaviour
    (found,) = told(settings)
    assert words in found.advice
    assert "firewall" not in found.advice


def test_what_to_do_follows_from_why_no_answer_came(settings: Config) -> None:
    """A server that is not there, a name that is none, a proxy that is none, one that hangs."""

    def advice(**other: str | tuple[str, ...]) -> str:
        elsewhere = replace(settings, **other)  # type: ignore[arg-type]
        (found,) = told(elsewhere)
        return found.advice

    port = free_port()
    nowhere = (f"http://127.0.0.1:{port}",)
    assert f"no firewall refuses port {port}" in advice(servers=nowhere)
    assert "correct the name in servers" in advice(servers=("http://pattoo.invalid",))
    assert "see that proxy names one that runs" in advice(proxy=nowhere[0])


def test_a_server_that_hangs_is_to_be_looked_at(settings: Config, server: PattooServer) -> None:
    """It is there; or a firewall drops what goes to it."""
    until = threading.Event()
    server.status_page = hanging(until)
    for bounds in ({"exchange_s": 0.2}, {"whole_s": 0.2}):
        (found,) = told(settings, **bounds)
        assert found.advice.startswith("look at the server, which may hang")
    until.set()


@pytest.mark.parametrize("bounds", [{"exchange_s": 0.2}, {"whole_s": 0.2}])
def test_a_server_that_hangs_is_not_waited_for(
    settings: Config, server: PattooServer, bounds: dict[str, float]
) -> None:
    """Neither for its answer, nor for whatever else hangs on the way there."""
    until = threading.Event()
    server.status_page = hanging(until)
    (asked,) = ask_each(settings, **bounds)
    until.set()
    # Of the limits of one read and of all of it either may be the first to be reached.
    assert "timed out" in asked.error or "answer within 0.2 s" in asked.error
    assert asked.ahead_s is None


@pytest.mark.parametrize(
    ("asked", "state", "words"),
    [
        (Asked("http://x/", "", 0.0123), State.WELL, "http://x/ is well, answers within 12 ms"),
        (Asked("http://x/", "", 2.5), State.NOTE, "http://x/ is well, but takes 2.5 s"),
        (Asked("http://x/", "Connection refused", 0.001), State.TROUBLE,
         "http://x/: Connection refused (after 1 ms)"),
    ],
)  # fmt: skip
def test_a_server_is_told_with_its_round_trip(
    settings: Config, asked: Asked, state: State, words: str
) -> None:
    """A slow one is worth a look."""
    (found,) = findings(asked, settings)
    assert (found.state, found.found) == (state, words)
    assert bool(found.advice) == (state is not State.WELL)
