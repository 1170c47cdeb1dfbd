"""What the processes of an agent have loaded, as the kernel maps it, and what none of them has."""

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

#: Where each library may be.
_LIBRARIES = {
    "libcrypto|libssl": set(),
    "yaml": set(),
    "_psutil": {"collector"},
    "sqlite": {"uploader"},
}


def _who_maps(agent: Agent, library: str) -> set[str]:
    names = {"control": agent.pid, **{n: agent.worker(n) for n in ("collector", "uploader")}}
    return {
        name
        for name, pid in names.items()
        if re.search(
            rf"/[^/\n]*({library})[^/\n]*$", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE
        )
    }


@pytest.mark.parametrize("way", ["--start", "--restart", "--reload"])
def test_each_process_has_loaded_what_it_is_for(
    make_agent: MakeAgent, server: PattooServer, way: str
) -> None:
    """Plain HTTP takes no OpenSSL, and a configuration that was read no YAML, also after a reload."""
    agent = make_agent(port=server.port)
    agent.start()
    if way != "--start":
        agent.set_shared("log_level", "debug")
        assert agent.run(way).returncode == 0
    assert {library: _who_maps(agent, library) for library in _LIBRARIES} == _LIBRARIES
