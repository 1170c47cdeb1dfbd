"""Each setting of the log, unlike its default: in all three processes, at a start and at a reload."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import NAME
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]


def logs(agent: Agent) -> list[Path]:
    """The log and what was rotated, by name."""
    return sorted((agent.home / "log").glob("pattoo.log*"))


def has_debug_lines(agent: Agent) -> bool:
    """Whether the uploader has logged a delivery, which is of the level debug."""
    return "Delivered " in agent.log


def has_objects(agent: Agent) -> bool:
    """Whether the newest line of each kind of process is an object."""
    lines = [line for line in agent.log.splitlines() if line.startswith("{")]
    return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)


def is_rotated(agent: Agent) -> bool:
    """Whether there is a rotated log."""
    return len(logs(agent)) > 1


def keeps_two(agent: Agent) -> bool:
    """Whether two rotated logs are kept. By default, all of five would be."""
    return len(logs(agent)) == 3


#: What is set before, what is set then, and what shows it. A log with debug lines grows quickly.
CASES = {
    "log_level": ({}, "debug", has_debug_lines),
    "log_format": ({"log_level": "debug"}, "json", has_objects),
    "log_max_bytes": ({"log_level": "debug"}, "10000", is_rotated),
    "log_backups": ({"log_level": "debug", "log_max_bytes": "10000", "log_backups": "1"}, "2", keeps_two),
}  # fmt: skip


def configure(agent: Agent, name: str, value: str) -> None:
    """Set one setting where it belongs."""
    (agent.set_shared if name == "log_level" else agent.set_own)(name, value)


def make_lines(agent: Agent) -> bool:
    """Have control log twenty problems and more, of a reload that it refuses. Always true."""
    path = agent.configuration / f"{NAME}.yaml"
    good = path.read_text()
    agent.write(path.name, good + "".join(f"  unknown_{number}: 1\n" for number in range(30)))
    agent.run("--reload")
    agent.write(path.name, good)
    return True


@pytest.mark.parametrize("when", ["start", "reload"])
@pytest.mark.parametrize("name", CASES)
def test_a_setting_takes_effect(
    make_agent: MakeAgent, server: PattooServer, name: str, when: str
) -> None:
    """At a reload it was not in force before."""
    before, value, shows = CASES[name]
    agent = make_agent(port=server.port)
    for each in before.items():
        configure(agent, *each)
    if when == "start":
        configure(agent, name, value)
    agent.start()
    if when == "reload":
        wait_for(server.timestamps, what="a post")
        assert not shows(agent)
        configure(agent, name, value)
        assert agent.run("--reload").returncode == 0
    wait_for(lambda: shows(agent) or not make_lines(agent), what=f"the effect of {name}")
    agent.stop()
