"""The real agent with bad configurations, permissions, links and a log that cannot be written."""

from __future__ import annotations

import random
import stat
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import NAME
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]


def test_files_are_readable_only_by_the_agents_user(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Spool, journal, identity, PID file, socket, log, and all directories that the agent makes."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(server.timestamps, what="a post")
    made = [path for part in ("log", "cache", "daemon") for path in (agent.home / part).rglob("*")]
    assert len(made) > 8
    open_to_others = [path for path in made if path.lstat().st_mode & 0o077]
    assert open_to_others == []
    assert any(stat.S_ISSOCK(path.lstat().st_mode) for path in made)


@pytest.mark.parametrize(
    "place", ["log/pattoo.log", f"cache/{NAME}.spool.sqlite", f"daemon/pid/{NAME}.pid",
              f"daemon/agent_id/{NAME}.agent_id"],
)  # fmt: skip
def test_a_symbolic_link_in_place_of_a_file_is_not_followed(
    make_agent: MakeAgent, place: str
) -> None:
    """The agent does not start and names the file; the target of the link is untouched."""
    agent = make_agent()
    target = agent.home / "theirs"
    target.write_text("untouched")
    link = agent.home / place
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    done = agent.run("--start")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(link) in done.stderr
    assert target.read_text() == "untouched"
    assert agent.processes() == []


def test_a_log_that_cannot_be_written_does_not_stop_polling(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Here a directory takes its place."""
    agent = make_agent(port=server.port)
    agent.start()
    log = agent.home / "log" / "pattoo.log"
    log.unlink()
    log.mkdir()
    agent.run("--status")
    server.down()
    wait_for(lambda: agent.status()["posts"]["failing_since_ms"], what="an error worth a line")
    server.up()
    arrived = len(server.timestamps())
    wait_for(lambda: len(server.timestamps()) > arrived + 5, what="more polls")


def bad_configurations() -> list[tuple[str, str]]:
    """Return a hundred configurations with an error in each, generated from a seed."""
    draw = random.Random(1)
    values = [
        "''",
        "-1",
        "[]",
        "{}",
        "never",
        "true",
        ".nan",
        ".inf",
        "1e400",
        "!!int 5",
        "0",
        '"\\0"',
    ]
    settings = {
        "pattoo.yaml": ["log_directory", "cache_directory", "daemon_directory", "log_level"],
        f"{NAME}.yaml": ["polling_interval", "spool_max_bytes", "spool_max_age", "poling_interval"],
    }  # fmt: skip
    made: list[tuple[str, str]] = []
    while len(made) < 100:
        file = draw.choice(list(settings))
        made.append((file, f"  {draw.choice(settings[file])}: {draw.choice(values)}\n"))
    return made


def test_a_hundred_bad_configurations_are_refused_with_error_lines(make_agent: MakeAgent) -> None:
    """The exit status is 2, with a line for each problem, no traceback, and no process left."""
    agent = make_agent()
    good = {
        name: (agent.configuration / name).read_text() for name in ("pattoo.yaml", f"{NAME}.yaml")
    }
    for file, line in set(bad_configurations()):
        name = line.split(":")[0].strip()
        kept = "".join(row for row in good[file].splitlines(keepends=True) if name not in row)
        section = kept.index("\n") + 1
        agent.write(file, kept[:section] + line + kept[section:])
        done = agent.run("--start")
        agent.write(file, good[file])
        if done.returncode == 0:  # the value happens to be valid for this setting, such as 0 bytes
            pytest.fail(f"{file}: {line} was accepted")
        assert done.returncode == 2, line
        assert done.stdout == ""
        assert done.stderr.splitlines()
        assert all(
            row.startswith(f"{NAME}: error: {agent.configuration}/")
            for row in done.stderr.splitlines()
        )
        assert "Traceback" not in done.stderr
    assert agent.processes() == []
