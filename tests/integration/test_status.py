"""--status of the real agent: on a terminal, in a pipe and as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.model import Poll
from tests.spool.polls import LAYOUT, LAYOUTS
from tests.support.agent import NAME, SHIM
from tests.support.schema import check
from tests.support.server import PattooServer, answering, well
from tests.support.spools import AMPLE, open_spool
from tests.support.terminal import CTRL_C, ESCAPE, Terminal
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]

RUNNING = f"Daemon is running - {NAME}"
STOPPED = f"Daemon is stopped - {NAME}"
#: Many times what one post may hold.
BACKLOG = 20_000


def status_document(agent: Agent) -> dict[str, Any]:
    """Return the valid document of `--status --json`."""
    status: dict[str, Any] = json.loads(agent.run("--status", "--json").stdout)
    check(status)
    return status


def wait_for_exit_status(agent: Agent, number: int) -> subprocess.CompletedProcess[str]:
    """Repeat --status until it has this exit status; return its document.

    A post that failed is tried again within 30 s.
    """

    def ask() -> subprocess.CompletedProcess[str] | None:
        done = agent.run("--status")
        return done if done.returncode == number else None

    return wait_for(ask, 60, f"exit status {number}")


def fill(agent: Agent) -> None:
    """Put a backlog of the last hours into the spool of a stopped agent."""
    agent.spool.parent.mkdir(parents=True)
    spool = open_spool(agent.spool, AMPLE)
    now_ms = time.time_ns() // 1_000_000
    values = [1] * len(LAYOUT.series)
    polls = [Poll.of(LAYOUT, now_ms - (BACKLOG - n) * 1000, values) for n in range(BACKLOG)]
    spool.append(list(enumerate(polls, 1)), LAYOUTS, "another")
    spool.close()


def on_a_terminal(agent: Agent, *words: str, **tastes: str) -> Terminal:
    """Run `--status` on a terminal."""
    return Terminal([*agent.command, "--status", *words], agent.env(), **tastes)


@contextlib.contextmanager
def piped(agent: Agent, *words: str) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """Run `--status --watch` in a pipe. Yield its process and the lines that it prints."""
    command = [*agent.command, "--status", "--watch", *words]
    with subprocess.Popen(command, env=agent.env(), stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            yield watching, iter(watching.stdout)
        finally:
            watching.kill()


def test_an_agent_without_trouble_exits_0_with_one_screen(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The text has no escape codes, and the JSON matches its schema."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: status_document(agent)["recent"]["sent_bytes"], what="rates")
    done = agent.run("--status")
    assert (done.returncode, done.stderr) == (0, "")
    assert ESCAPE not in done.stdout
    assert done.stdout.splitlines()[0] == RUNNING
    assert len(done.stdout.splitlines()) <= 24
    assert "Trouble" not in done.stdout
    for text in (r"Lag +\d.*s: the server has", r"Rates +\d.* polls/s, .* kB/s", r"MB, .*% CPU"):
        assert re.search(text, done.stdout), text
    status = status_document(agent)
    assert status["troubles"] == []
    assert status.keys() == agent.status().keys()
    assert status["polls"]["last_delivered_ms"] in server.timestamps()
    assert all(process["memory_bytes"] > 1 << 20 for process in status["workers"].values())


def test_an_agent_that_does_not_run_exits_3_in_every_form(make_agent: MakeAgent) -> None:
    """So does --watch, which goes on."""
    agent = make_agent()
    done = agent.run("--status")
    assert (done.returncode, done.stdout, done.stderr) == (3, agent.stopped, "")
    assert status_document(agent)["state"] == "stopped"
    with piped(agent, "--json") as (watching, lines):
        for _ in range(2):
            assert json.loads(next(lines))["state"] == "stopped"
        watching.terminate()
        assert watching.wait(20) == 3


def test_a_server_that_takes_nothing_exits_1_until_it_does(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """After three missed posts the trouble and its advice are at the top."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(server.timestamps, what="a post")
    server.behaviour = answering(503)
    done = wait_for_exit_status(agent, 1)
    trouble = done.stdout.splitlines()[1]
    assert re.search(r"the server has accepted no polls for \d", trouble)
    assert "(status 503" in trouble
    assert trouble.endswith(": a proxy in front of the server says so: wait, or raise its limits")
    assert [trouble["code"] for trouble in status_document(agent)["troubles"]] == [
        "server_takes_nothing"
    ]
    server.behaviour = well
    wait_for_exit_status(agent, 0)


def test_a_stopped_uploader_exits_1_and_the_server_is_not_blamed(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The line names the command that continues it. Afterwards nothing is lost."""
    agent = make_agent(port=server.port)
    agent.start()
    uploader = agent.worker("uploader")
    agent.signal("uploader", "SIGSTOP")
    done = wait_for_exit_status(agent, 1)
    assert done.stdout.count("Trouble") == 1
    assert f"kill -CONT {uploader}" in done.stdout
    agent.signal("uploader", "SIGCONT")
    wait_for_exit_status(agent, 0)
    assert agent.status()["polls"]["dropped"] == {}


def test_a_worker_in_a_crash_loop_exits_1(make_agent: MakeAgent, server: PattooServer) -> None:
    """It was killed three times. That it runs again does not count."""
    agent = make_agent(port=server.port)
    agent.start()
    for _ in range(3):
        assert agent.run("--status").returncode == 0
        before = agent.worker("uploader")
        os.kill(before, signal.SIGKILL)
        wait_for(lambda old=before: agent.worker("uploader") != old)  # type: ignore[misc]
    done = agent.run("--status")
    assert done.returncode == 1
    assert "the uploader keeps dying, last by signal SIGKILL" in done.stdout.splitlines()[1]


def test_a_backlog_that_drains_has_an_estimate_and_a_bar(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """It is no trouble, because the server takes the polls."""
    agent = make_agent(port=server.port, interval=1)
    fill(agent)
    agent.start()
    with on_a_terminal(agent, "--watch") as terminal:
        terminal.wait_for("Progress")
        status = status_document(agent)
        assert status["troubles"] == []
        assert 0 < status["backlog"]["polls"] < BACKLOG
        # The first posts are small, and suggest a lower speed than the later ones.
        wait_for(
            lambda: 0 < status_document(agent)["backlog"]["gone_in_s"] < 60, what="the estimate"
        )
        assert re.search(r"Waiting .*; the server accepts .*, all sent in about \d", terminal.text)
        terminal.type(CTRL_C)
        assert terminal.end() == 0


def test_polls_that_were_lost_with_a_damaged_spool_exit_1(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """They were lost before control counted anything, but are reported."""
    agent = make_agent(port=server.port)
    fill(agent)
    os.truncate(agent.spool, agent.spool.stat().st_size // 2)
    agent.start()
    done = agent.run("--status")
    assert done.returncode == 1
    assert re.search(r"\n  Trouble +polls were dropped at ", done.stdout)
    assert re.search(r"\n  Dropped +\d+ polls \(the spool was damaged: \d+\)", done.stdout)


@pytest.mark.parametrize("key", [CTRL_C, "q"])
def test_a_watch_ends_on_a_key_with_the_terminal_as_it_was(
    make_agent: MakeAgent, server: PattooServer, key: str
) -> None:
    """It has hidden the cursor, and shows it again. `q` is what people try first."""
    agent = make_agent(port=server.port)
    agent.start()
    with on_a_terminal(agent, "--watch") as terminal:
        terminal.wait_for(RUNNING, times=2)
        terminal.type(key)
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text
        assert terminal.output.rfind(f"{ESCAPE}[?25h") > terminal.output.rfind(f"{ESCAPE}[?25l")


def test_a_watch_goes_on_through_a_restart(make_agent: MakeAgent, server: PattooServer) -> None:
    """On a terminal and in a pipe, it shows the agent stopped, and then running again."""
    agent = make_agent(port=server.port)
    agent.start()
    with on_a_terminal(agent, "--watch") as terminal, piped(agent) as (watching, lines):
        terminal.wait_for(RUNNING)
        first = next(lines)
        assert re.fullmatch(r"\S+ \S+  well; \d+ polled, .*\n", first)
        agent.stop()
        terminal.wait_for(STOPPED, times=2)
        assert f"{STOPPED}\n" in lines
        assert next(lines) == f"{STOPPED}\n"
        shown = terminal.text.count(RUNNING)
        agent.start()
        terminal.wait_for(RUNNING, times=shown + 1)
        # Control has its lock a moment before it answers.
        again = next(line for line in lines if " polled, " in line)
        assert ESCAPE not in first + again
        agent.stop()
        assert f"{STOPPED}\n" in lines
        terminal.wait_for(STOPPED, times=terminal.text.count(STOPPED) + 1)
        terminal.type(CTRL_C)
        assert terminal.end() == 3
        watching.terminate()
        assert watching.wait(20) == 3


@pytest.mark.parametrize(
    ("tastes", "colour", "escapes"),
    [({}, True, True), ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False)],
)
def test_colours_follow_no_color_and_term(
    make_agent: MakeAgent, tastes: dict[str, str], *, colour: bool, escapes: bool
) -> None:
    """On a terminal."""
    agent = make_agent()
    with on_a_terminal(agent, **tastes) as terminal:
        assert terminal.end() == 3
        assert terminal.text.split("\n")[0].strip() == STOPPED
        assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", terminal.output)) == colour
        assert (ESCAPE in terminal.output) == escapes


def test_without_a_terminal_rich_is_not_imported(make_agent: MakeAgent) -> None:
    """A monitoring system asks every minute."""
    agent = make_agent()
    agent.command = [sys.executable, "-X", "importtime", str(SHIM)]
    imported = agent.run("--status").stderr
    assert "pattoo_mp.cli.status" in imported
    assert "rich" not in imported
