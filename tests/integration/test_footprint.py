"""The libraries that each process of an agent has loaded, by its memory map."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]

#: The processes that may load each library.
_LIBRARIES = {
    "libcrypto|libssl": set(),
    "yaml": set(),
    "_psutil": {"collector"},
    "sqlite": {"uploader"},
}


def _processes_with(agent: Agent, library: str) -> set[str]:
    names = {"control": agent.pid, **{n: agent.worker(n) for n in ("collector", "uploader")}}
    return {
        name
        for name, pid in names.items()
        if re.search(
            rf"/[^/\n]*({library})[^/\n]*$", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE
        )
    }


@pytest.mark.parametrize("way", ["--start", "--restart", "--reload"])
def test_each_process_loads_only_the_libraries_it_needs(
    make_agent: MakeAgent, server: PattooServer, way: str
) -> None:
    """With plain HTTP none loads OpenSSL, and none YAML, even after a reload."""
    agent = make_agent(port=server.port)
    agent.start()
    if way != "--start":
        agent.set_shared("log_level", "debug")
        assert agent.run(way).returncode == 0
    assert {library: _processes_with(agent, library) for library in _LIBRARIES} == _LIBRARIES
