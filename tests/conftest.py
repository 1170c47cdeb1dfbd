"""Fixtures for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from pattoo_mp.config import host_checks
from tests.support.agent import Agent
from tests.support.decrypting import DecryptingServer
from tests.support.keyrings import Keyrings
from tests.support.server import PattooServer
from tests.support.standstill import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The suite has the same examples in each run. Others are drawn with `--hypothesis-profile=default`, and by `make fuzz`.
settings.register_profile("suite", derandomize=True, database=None)
settings.load_profile("suite")

#: The usual one: tests expect the modes that files and directories have with it.
os.umask(0o022)


@pytest.fixture
def home() -> Iterator[Path]:
    """A temporary directory with a short name: the path of a Unix socket has at most 108 bytes."""
    path = Path(tempfile.mkdtemp(prefix="pmp-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():  # a test has shut a directory, which stops all users but root
        subprocess.run(["chmod", "--recursive", "u+rwx", path], check=True)
        shutil.rmtree(path)


@pytest.fixture
def server() -> Iterator[PattooServer]:
    """A running pattoo server."""
    running = PattooServer()
    yield running
    running.close()


@pytest.fixture
def elsewhere() -> Iterator[PattooServer]:
    """A second running pattoo server."""
    running = PattooServer()
    yield running
    running.close()


@pytest.fixture(scope="session")
def keyrings() -> Iterator[Keyrings]:
    """Keys for encrypted mode. Without GnuPG on this host the tests are skipped."""
    if host_checks.missing_for_encryption():
        pytest.skip(host_checks.missing_for_encryption())
    with tempfile.TemporaryDirectory(prefix="pmp-keys-", ignore_cleanup_errors=True) as path:
        yield Keyrings(Path(path))


@pytest.fixture
def decrypting(home: Path, keyrings: Keyrings) -> Iterator[DecryptingServer]:
    """A running pattoo server for encrypted posts."""
    running = DecryptingServer(keyrings.of_server(home / "server"))
    yield running
    running.close()


@pytest.fixture
def host() -> Iterator[Host]:
    """The real host, watched for times when it stands still."""
    with Host() as watched:
        yield watched


@pytest.fixture
def make_agent(home: Path) -> Iterator[Callable[..., Agent]]:
    """Return a function that makes agents. Their processes are killed afterwards."""
    made: list[Agent] = []

    def make(**settings: object) -> Agent:
        agent = Agent(home, **settings)  # type: ignore[arg-type]
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.end()
