"""Fixtures: a browser, and agents that post to a receiver."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.receiver.process import Receiver
from tests.support.agent import Agent
from tests.support.browser import running_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for all tests of a module."""
    with running_browser() as running:
        yield running


class Site:
    """A receiver with its page, and agents that post to it, below `home`."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.agents: list[Agent] = []
        self.receiver = Receiver(home, *options)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self.receiver.host}:{self.receiver.port}/"

    def agent(self, name: str, interval: float = 0.1, families: str = "[pressure]") -> Agent:
        """Start an agent of a host that is called `name`."""
        place = self.home / name
        place.mkdir()
        made = Agent(place, port=self.receiver.port, interval=interval)
        made.set_own("hostname", name)
        made.set_own("families", families)
        self.agents.append(made)
        made.start()
        return made

    def kill_receiver(self) -> None:
        """Kill the receiver; what it answered is in its store."""
        self.receiver.end()

    def receiver_back(self) -> None:
        """Start it again, on the same port with the same store."""
        self.receiver = Receiver(self.home, "--port", str(self.receiver.port))

    def end(self) -> None:
        """End all processes."""
        for agent in self.agents:
            agent.end()
        self.receiver.end()


def _site() -> Iterator[Site]:
    home = Path(tempfile.mkdtemp(prefix="pmp-"))
    site = Site(home)
    yield site
    site.end()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def site(browser: Browser) -> Iterator[Site]:  # noqa: ARG001 - without a browser nothing is started
    """A receiver without any agent."""
    yield from _site()


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[Site]:  # noqa: ARG001
    """A receiver, and an agent that polls `alpha` ten times a second, for tests that only look."""
    for site in _site():
        site.agent("alpha")
        yield site
