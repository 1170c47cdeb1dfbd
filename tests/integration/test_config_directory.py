"""`--config DIR`: every command of every program reads the configuration there, whatever PATTOO_CONFIGDIR says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.program import PROGRAMS, Program
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]

ELSEWHERE = {"PATTOO_CONFIGDIR": "/nowhere"}


def test_every_verb_finds_the_agent(make_agent: MakeAgent) -> None:
    """The daemon that `--start` and `--restart` start reads it, too, and is found with it."""
    agent = make_agent(environment=ELSEWHERE)
    chosen = ("--config", str(agent.configuration))
    assert agent.run("--start", *chosen).returncode == 0
    assert agent.run(*chosen, "--check", "--json").returncode in {0, 1}
    status = json.loads(agent.run("--status", "--json", *chosen).stdout)
    assert (status["state"], status["control"]["pid"]) == ("running", agent.pid)
    agent.set_own("polling_interval", "200 ms")
    assert "(polling_interval)" in agent.run(*chosen, "--reload").stdout
    assert agent.run("--restart", *chosen).returncode == 0
    assert agent.pid != status["control"]["pid"]
    assert agent.run(f"--config={agent.configuration}", "--stop").returncode == 0
    assert agent.pid is None
    assert agent.run(*chosen, "--status").stdout == agent.stopped


@pytest.mark.parametrize(
    ("before", "after"),
    [((), ("--config", "etc")), (("--config", "etc"), ()), (("--config=etc",), ())],
)
def test_a_control_process_is_recognised_and_small(
    make_agent: MakeAgent, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """It has its title, by which `--stop` knows it, and no parser. A relative directory stays the same for it."""
    agent = make_agent(environment=ELSEWHERE)
    python, *rest = plain = agent.command
    agent.command = [python, "-X", "importtime", *rest, *before]
    imports = agent.home / "imports"
    with (
        imports.open("w") as file,
        agent.foreground(*after, cwd=agent.home, stderr=file) as control,
    ):
        agent.command = plain
        wait_for(
            lambda: agent.pid == control.pid and agent.status()["polls"]["since_start"],
            what="a poll",
        )
        title = Path(f"/proc/{control.pid}/cmdline").read_bytes().rstrip(b"\0 ")
        assert title == f"{agent.name}: control".encode()
        agent.set_own("polling_interval", "200 ms")
        chosen = ("--config", str(agent.configuration))
        assert "(polling_interval)" in agent.run("--reload", *chosen).stdout
        assert agent.run("--stop", *chosen).returncode == 0
        assert control.wait(60) == 0
    imported = [line.rpartition("|")[2].strip() for line in imports.read_text().splitlines()]
    assert "pattoo_mp.control.arbiter" in imported
    assert "argparse" not in imported


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.short)
def test_every_program_has_it(make_agent: MakeAgent, program: Program) -> None:
    """The check reads the files there."""
    agent = make_agent(environment=ELSEWHERE, program=program, interval="1 s")
    found = json.loads(agent.run("--check", "--json", "--config", str(agent.configuration)).stdout)
    assert (found["directory"], found["problems"]) == (str(agent.configuration), [])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--config",), "argument --config: expected one argument"),
        (("--config=",), "argument --config: '' is no directory; expected one with pattoo.yaml"),
        (("--config", "/nowhere"), "/nowhere: no such directory; expected the one that --config or PATTOO_CONFIGDIR names"),
        (("--config", "~no-such-user/x"), "--config: ~no-such-user/x: "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["--status", "--foreground"])
def test_a_bad_directory_gets_one_line(
    make_agent: MakeAgent, verb: str, words: tuple[str, ...], error: str
) -> None:
    """On stderr, with status 2."""
    done = make_agent().run(verb, *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert error in done.stderr
