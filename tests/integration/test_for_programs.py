"""`--json` prints a document even if there are only errors to report."""

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
    """Remove the configuration directory."""
    shutil.rmtree(agent.configuration)


def no_yaml(agent: Agent) -> None:
    """Leave half of an edit in a configuration file."""
    agent.write("pattoo.yaml", "pattoo: [\n")


def no_home(agent: Agent) -> None:
    """Name the home directory of a user who does not exist."""
    agent.environment["PATTOO_CONFIGDIR"] = "~nobody-of-this-name/etc"


def document(agent: Agent, verb: str, *words: str) -> dict[str, Any]:
    """Return the valid document that a verb prints, with the same status and stderr as without `--json`."""
    plain, done = agent.run(verb), agent.run(verb, "--json", *words)
    assert (done.returncode, done.stderr) == (plain.returncode, plain.stderr)
    assert done.stderr.startswith(f"{NAME}: error: ")
    printed: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(json.loads(SCHEMAS[verb].read_text())).validate(printed)
    return printed


@pytest.mark.parametrize("breaking", [no_directory, no_yaml, no_home])
@pytest.mark.parametrize("verb", SCHEMAS)
def test_a_broken_configuration_is_reported_in_the_document(
    make_agent: MakeAgent, verb: str, breaking: Callable[[Agent], None]
) -> None:
    """It has the lines of stderr, and cannot be mistaken for success. The exit status is 2."""
    agent = make_agent()
    breaking(agent)
    done = agent.run(verb)
    assert done.returncode == 2
    lines = [line.removeprefix(f"{NAME}: error: ") for line in done.stderr.splitlines()]
    printed = document(agent, verb)
    if verb == "--status":
        assert (printed["state"], printed["errors"]) == ("unknown", lines)
    elif verb == "--check":
        assert printed["problems"] == lines
    else:
        assert not printed["is_well"]
        assert [finding["found"] for finding in printed["findings"]] == lines


def test_an_unknown_status_is_reported_in_the_document(make_agent: MakeAgent) -> None:
    """Here for another reason than the configuration. With --watch it is one line."""
    agent = make_agent()
    pid_file = paths.pid_file(agent.home / "daemon")
    pid_file.parent.mkdir(parents=True)
    pid_file.symlink_to("elsewhere")
    printed = document(agent, "--status")
    assert printed["state"] == "unknown"
    assert "is a symbolic link" in printed["errors"][0]
    done = agent.run("--status", "--json", "--watch")
    assert (done.returncode, done.stdout) == (1, f"{json.dumps(printed)}\n")
