"""The places of the agent's files, as its user sees them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import load
from pattoo_mp.doctor import files
from pattoo_mp.doctor.files import Place, Use
from pattoo_mp.doctor.finding import State
from tests.support.disks import shut, small
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent

IS_ROOT = os.geteuid() == 0


@pytest.mark.parametrize("use", [use for use in Use if use not in {Use.GOOD, Use.ABSENT}])
def test_each_trouble_says_what_to_do(home: Path, use: Use) -> None:
    """With the file or its directory, and the user."""
    found = files.in_words(Place("log", home / "log", use), "pattoo")
    assert found.state is State.TROUBLE
    assert str(home) in found.advice
    assert use.value in found.found


def test_a_configuration_that_the_agents_user_cannot_read_is_trouble(
    make_agent: Callable[..., Agent],
) -> None:
    """Root can, and so would not see it."""
    agent = make_agent()
    settings = load.check(agent.configuration)
    agent.home.chmod(0o755)
    (agent.configuration / "pattoo.yaml").chmod(0o000)

    def told() -> str:
        found = list(files.place_findings(agent.configuration, settings, "nobody", None))
        return "\n".join(f"{f.state.value} {f.subject}: {f.found}" for f in found)

    assert f"bad pattoo.yaml: {agent.configuration}/pattoo.yaml cannot be read" in as_nobody(told)
    if IS_ROOT:
        assert "bad log_directory" in as_nobody(told)
        assert "bad" not in told()


def test_a_file_system_that_is_read_only_is_to_be_mounted_anew(
    make_agent: Callable[..., Agent],
) -> None:
    """The right to it is not what is missing, so nobody is sent to give it."""
    agent = make_agent()
    settings = load.check(agent.configuration)
    with small(agent.home / "cache") as disk:
        shut(disk)
        (found,) = (
            finding
            for finding in files.place_findings(agent.configuration, settings, "pattoo", None)
            if finding.subject == "cache_directory"
        )
    assert found.found == f"{disk} cannot be written to (Read-only file system)"
    assert found.advice.startswith(f"mount -o remount,rw {disk} (dmesg may say")


def test_what_is_wrong_with_the_way_to_the_servers_is_trouble(
    make_agent: Callable[..., Agent],
) -> None:
    """Files that cannot be used, and settings that may not be together."""
    agent = make_agent()
    path = agent.home / "credentials"
    path.touch(mode=0o644)
    settings = replace(
        load.check(agent.configuration), servers=("http://192.0.2.1",), credentials_file=path
    )
    found = [
        finding
        for finding in files.place_findings(agent.configuration, settings, "pattoo", None)
        if finding.subject == "credentials_file"
    ]
    assert [finding.state for finding in found] == [State.TROUBLE] * 2
    assert "(mode 0644), as pattoo" in found[0].found
    assert found[0].advice == "let it be a file of the agent's user, with mode 0600 or 0400"
    assert "would go in the clear to http://192.0.2.1" in found[1].found
