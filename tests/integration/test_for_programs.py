"""What a program gets of `--json` where there is nothing to say but what is wrong."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from pattoo_mp import paths
from tests.support.agent import NAME, Agent

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeAgent = Callable[..., Agent]

SCHEMAS = {
    "--status": files("pattoo_mp.control") / "status.schema.json",
    "--check": files("pattoo_mp.cli") / "check.schema.json",
    "--doctor": files("pattoo_mp.cli") / "doctor.schema.json",
}


def no_directory(agent: Agent) -> None:
    """It was never made, or is not mounted."""
    shutil.rmtree(agent.configuration)


def no_yaml(agent: Agent) -> None:
    """Half of an edit."""
    agent.write("pattoo.yaml", "pattoo: [\n")


def no_home(agent: Agent) -> None:
    """A user who is gone."""
    agent.environment["PATTOO_CONFIGDIR"] = "~nobody-of-this-name/etc"


def document(agent: Agent, verb: str, *words: str) -> dict[str, Any]:
    """What it prints, by its schema; the exit status and stderr are those without `--json`."""
    plain, done = agent.run(verb), agent.run(verb, "--json", *words)
    assert (done.returncode, done.stderr) == (plain.returncode, plain.stderr)
    assert done.stderr.startswith(f"{NAME}: error: ")
    told: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(json.loads(SCHEMAS[verb].read_text())).validate(told)
    return told


@pytest.mark.parametrize("breaking", [no_directory, no_yaml, no_home])
@pytest.mark.parametrize("verb", SCHEMAS)
def test_a_broken_configuration_is_told_in_a_document(
    make_agent: MakeAgent, verb: str, breaking: Callable[[Agent], None]
) -> None:
    """One that nobody takes for good news, with the lines of stderr; exit 2 as without --json."""
    agent = make_agent()
    breaking(agent)
    done = agent.run(verb)
    assert done.returncode == 2
    lines = [line.removeprefix(f"{NAME}: error: ") for line in done.stderr.splitlines()]
    told = document(agent, verb)
    if verb == "--status":
        assert (told["state"], told["errors"]) == ("unknown", lines)
    elif verb == "--check":
        assert told["problems"] == lines
    else:
        assert not told["is_well"]
        assert [finding["found"] for finding in told["findings"]] == lines


def test_a_status_that_cannot_be_had_is_told_in_a_document(make_agent: MakeAgent) -> None:
    """For another reason than the configuration; also where it is watched, on one line."""
    agent = make_agent()
    pid_file = paths.pid_file(agent.home / "daemon")
    pid_file.parent.mkdir(parents=True)
    pid_file.symlink_to("elsewhere")
    told = document(agent, "--status")
    assert told["state"] == "unknown"
    assert "is a symbolic link" in told["errors"][0]
    done = agent.run("--status", "--json", "--watch")
    assert (done.returncode, done.stdout) == (1, f"{json.dumps(told)}\n")
