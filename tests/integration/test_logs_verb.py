"""`--logs` with the real agent: its end, by level, on and on, and as another user."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.program import PROGRAMS
from tests.support.fuse import on_fuse
from tests.support.terminal import CTRL_C, Terminal
from tests.support.unprivileged import run_by_nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.program import Program
    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]


def log_of(agent: Agent) -> Path:
    """Return the path of the agent's log, in a directory that exists."""
    path = agent.home / "log" / agent.program.log_name
    path.parent.mkdir(exist_ok=True)
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_command_alone_ends_it(
    make_agent: MakeAgent, number: signal.Signals
) -> None:
    """Not only Ctrl-C, which goes to its child, too; and several do not hurt."""
    agent = make_agent()
    log_of(agent).write_text("one\n")
    with following(agent) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "one\n"
        for _ in range(3):
            process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


@contextlib.contextmanager
def following(agent: Agent, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run `--logs --follow`, until the end of the block at the latest."""
    with subprocess.Popen(
        [*agent.command, "--logs", "--follow", *words],
        env=agent.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.short)
def test_every_program_shows_its_own_log(make_agent: MakeAgent, program: Program) -> None:
    """With a number of records and a level, and with other settings that are invalid."""
    agent = make_agent(program=program)
    log_of(agent).write_text(
        "2026-11-24 03:12:09,481 INFO [control 1] One.\n2026-11-24 03:12:09,482 WARNING [control 1] Two.\n"
        "2026-11-24 03:12:09,483 INFO [control 1] Three.\n"
    )
    assert agent.run("--logs", "--lines", "2").stdout.count("\n") == 2
    agent.write(f"{agent.name}.yaml", "nonsense")
    done = agent.run("--logs", "--level", "warning")
    assert (done.returncode, done.stdout.split()[-1], done.stderr) == (0, "Two.", "")


def test_the_log_of_all_processes_is_shown(make_agent: MakeAgent) -> None:
    """Of the agent that runs."""
    agent = make_agent()
    agent.start()
    shown = agent.run("--logs").stdout
    assert all(f"[{name} " in shown for name in ("control", "collector"))
    assert shown == agent.log[: len(shown)]


def test_it_follows_a_log_that_does_not_exist_yet_through_a_rotation(
    make_agent: MakeAgent,
) -> None:
    """Each line is printed once, in order."""
    agent = make_agent()
    path = log_of(agent)
    with following(agent) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "does not exist yet; waiting for it" in process.stderr.readline()
        path.write_text("one\n")
        assert process.stdout.readline() == "one\n"
        path.rename(path.with_name("pattoo.log.1"))
        path.write_text("two\n")
        assert process.stdout.readline() == "two\n"
        path.write_text("3\n")
        assert process.stdout.readline() == "3\n"
        process.terminate()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


def test_ctrl_c_ends_it_quietly_on_a_terminal(make_agent: MakeAgent) -> None:
    """As it ends --watch."""
    agent = make_agent()
    log_of(agent).write_text("one\n")
    with Terminal([*agent.command, "--logs", "--follow"], agent.env()) as terminal:
        terminal.wait_for("one")
        terminal.type(CTRL_C)
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text


def test_a_person_is_told_that_there_are_no_such_records(make_agent: MakeAgent) -> None:
    """And of which log; a script gets nothing."""
    agent = make_agent()
    log_of(agent).write_text("2026-11-24 03:12:09,481 INFO [control 1] One.\n")
    words = [*agent.command, "--logs", "--level", "error"]
    with Terminal(words, agent.env()) as terminal:
        terminal.wait_for(f"{log_of(agent).name} has no records of level error or a higher one")
        assert terminal.end() == 0
    done = agent.run("--logs", "--level", "error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_ends_when_its_reader_does(make_agent: MakeAgent) -> None:
    """Although nothing more is logged, and without a word."""
    agent = make_agent()
    log_of(agent).write_text("one\ntwo\n")
    with following(agent) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "one\n"
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


def test_without_a_log_the_line_says_what_was_expected(make_agent: MakeAgent) -> None:
    """Exit status 1."""
    done = make_agent().run("--logs")
    assert done.returncode == 1
    assert "pattoo.log: No such file or directory; expected the log of an agent" in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_user_is_told_who_may_read_it(make_agent: MakeAgent) -> None:
    """In one line that names owner and mode."""
    agent = make_agent()
    agent.home.chmod(0o755)
    log_of(agent).write_text("one\n")
    log_of(agent).chmod(0o600)
    if os.geteuid() == 0:
        run_by_nobody(agent)
    else:
        log_of(agent).chmod(0)
    done = agent.run("--logs")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert "expected the agent's user or root" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_root_reads_no_more_than_the_agents_user(make_agent: MakeAgent) -> None:
    """Who could put another file of root's, of the same kind, in the log's place."""
    agent = make_agent()
    agent.home.chmod(0o755)
    log_of(agent).write_text("of root\n")
    log_of(agent).chmod(0o600)
    for owned in (agent.home / "daemon", agent.home / "cache", log_of(agent).parent):
        owned.mkdir(exist_ok=True)
        os.chown(owned, 65534, 65534)
    done = agent.run("--logs")
    assert done.returncode == 1
    assert "of root" not in done.stdout
    assert "Permission denied" in done.stderr


def test_a_log_that_hangs_is_told(make_agent: MakeAgent) -> None:
    """In one line, and the command ends."""
    agent = make_agent()
    path = log_of(agent)
    path.write_text("one\n")
    with on_fuse(str(path)) as stage:
        agent.command = [*stage.command, *agent.command]
        stage.hang(str(path))
        done = agent.run("--logs")
    assert done.returncode == 1
    assert "no answer within 10 s; expected a file that can be read" in done.stderr
