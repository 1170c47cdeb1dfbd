"""The server, asked as a person asks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import loading
from pattoo_mp.doctor.finding import State
from pattoo_mp.doctor.server import Asked, ask_each, findings
from tests.support.server import PattooServer, answering, hanging

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.config.values import Config
    from tests.support.agent import Agent


@pytest.fixture
def settings(make_agent: Callable[..., Agent], server: PattooServer) -> Config:
    """They name the server."""
    return loading.check(make_agent(port=server.port).configuration)


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
