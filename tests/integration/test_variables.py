"""`PATTOO_AGENT_…` variables: in the environment of an agent, and of the commands beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]

FASTER = {"PATTOO_AGENT_POLLING_INTERVAL": "200 ms"}


def checked(agent: Agent) -> dict[str, Any]:
    """What `--check` finds."""
    document: dict[str, Any] = json.loads(agent.run("--check", "--json").stdout)
    return document


def test_variables_reach_the_agent_and_are_shown(make_agent: MakeAgent) -> None:
    """Through `--start`, in a reload and in a restart; `--check` and `--status` name them."""
    agent = make_agent(environment=FASTER)
    assert agent.run("--start").stderr == ""
    assert agent.status()["interval_ms"] == 200
    assert json.loads(agent.run("--status", "--json").stdout)["variables"] == [*FASTER]
    assert "PATTOO_AGENT_POLLING_INTERVAL: these override its files" in agent.run("--status").stdout
    found = checked(agent)
    (interval,) = [one for one in found["settings"] if one["name"] == "polling_interval"]
    assert (interval["value"], interval["sources"]) == (0.2, [*FASTER])
    assert not [line for line in found["notes"] if "PATTOO_AGENT" in line]
    agent.set_own("polling_interval", "500 ms")
    done = agent.run("--reload")
    assert ("(nothing has changed)" in done.stdout, done.stderr) == (True, "")
    assert agent.status()["interval_ms"] == 200
    agent.environment = {}
    assert agent.run("--restart").returncode == 0
    assert agent.status()["interval_ms"] == 500
    agent.stop()


def test_a_command_without_them_says_so(make_agent: MakeAgent) -> None:
    """A check beside an agent with others is about others, and a reload leaves the agent its own."""
    agent = make_agent(environment=FASTER)
    agent.start()
    process = f"process {agent.pid}"
    agent.environment = {"PATTOO_AGENT_TOP_PROCESSES": "7"}
    theirs = (
        f"PATTOO_AGENT_POLLING_INTERVAL: the running agent ({process}) has this in its environment, and this "
        "command has not"
    )
    ours = (
        "PATTOO_AGENT_TOP_PROCESSES: this command has this in its environment, and the running agent "
        f"({process}) has not"
    )
    assert checked(agent)["notes"][-2:] == [theirs, ours]
    findings = json.loads(agent.run("--doctor", "--json").stdout)["findings"]
    assert [one["found"] for one in findings if one["subject"] == "variables"] == [theirs, ours]
    done = agent.run("--reload")
    assert done.stderr.splitlines() == [f"{agent.name}: note: {line}" for line in (theirs, ours)]
    assert agent.status()["interval_ms"] == 200
    agent.stop()


def test_a_further_file_is_applied_by_a_reload(make_agent: MakeAgent) -> None:
    """With the settings that it changes; a broken one changes nothing, and does not keep the agent from its stop."""
    agent = make_agent()
    agent.start()
    directory = agent.configuration / f"{agent.name}.yaml.d"
    directory.mkdir()
    file = directory / "1.yaml"
    file.write_text(f"{agent.name}: {{polling_interval: 200 ms, top_processes: 7}}")
    assert "(polling_interval, top_processes)" in agent.run("--reload").stdout
    assert agent.status()["interval_ms"] == 200
    file.write_text(f"{agent.name}: {{polling_interval: 5 M}}")
    done = agent.run("--reload")
    assert (
        done.returncode,
        f"{file}: {agent.name}: polling_interval: '5 M'; expected " in done.stderr,
    ) == (2, True)
    assert agent.status()["interval_ms"] == 200
    file.write_text(":")
    agent.stop()


def test_a_directory_of_a_variable_leads_to_the_agent(make_agent: MakeAgent) -> None:
    """With it, the commands find the agent; without it, they say where they have looked."""
    agent = make_agent()
    agent.environment = {"PATTOO_AGENT_SYSTEM_DAEMON_DIRECTORY": f"{agent.home}/run"}
    assert agent.run("--start").returncode == 0
    try:
        assert json.loads(agent.run("--status", "--json").stdout)["state"] == "running"
        agent.environment = {}
        without = agent.run("--status")
        assert (without.returncode, without.stdout) == (3, agent.stopped)
    finally:
        agent.environment = {"PATTOO_AGENT_SYSTEM_DAEMON_DIRECTORY": f"{agent.home}/run"}
        assert agent.run("--stop").stdout == f"Daemon is stopped - {agent.name}\n"


def test_a_typo_prevents_a_start_and_no_stop(make_agent: MakeAgent) -> None:
    """In one line, with the nearest name."""
    agent = make_agent()
    agent.start()
    agent.environment = {"PATTOO_AGENT_POLING_INTERVAL": "1"}
    done = agent.run("--restart")
    assert (done.returncode, agent.pid is not None) == (2, True)
    assert done.stderr == (
        f"{agent.name}: error: PATTOO_AGENT_POLING_INTERVAL: unknown variable; expected "
        "PATTOO_AGENT_POLLING_INTERVAL, or a name without PATTOO_AGENT_\n"
    )
    agent.stop()
