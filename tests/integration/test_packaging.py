"""The built wheel, installed into an empty environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from jsonschema import validate

from pattoo_mp.receiver.page import FILES
from tests.support.agent import NAME, ROOT, Agent
from tests.support.commands import run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import PattooServer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def agent(home: Path, installed: Path, server: PattooServer) -> Iterator[Agent]:
    """An agent that runs from the wheel."""
    command = [str(installed / "bin" / NAME)]
    made = Agent(home, port=server.port, command=command)
    yield made
    made.end()


def test_the_console_script_runs_the_agent(
    agent: Agent, server: PattooServer, installed: Path
) -> None:
    """Start, status and stop work with pip's script, polls arrive, and the status matches its schema."""
    agent.start()
    wait_for(server.timestamps, what="a post")
    assert agent.run("--status").returncode == 0
    (schema,) = installed.glob("lib/python*/site-packages/pattoo_mp/control/status.schema.json")
    validate(json.loads(agent.run("--status", "--json").stdout), json.loads(schema.read_text()))
    agent.stop()
    agent.command[0] += ".py"
    agent.start()
    agent.stop()


def test_the_installed_supervisord_configuration_works(
    agent: Agent, server: PattooServer, installed: Path
) -> None:
    """share/pattoo_mp/conf/supervisord.conf finds the program of its own installation."""
    configuration = installed / "share" / "pattoo_mp" / "conf" / "supervisord.conf"
    environment = {"PATH": "/usr/bin:/bin", "PATTOO_CONFIGDIR": str(agent.configuration)}
    run(installed / "bin" / "supervisord", "-c", configuration, environment=environment)
    try:
        wait_for(server.timestamps, what="a post")
    finally:
        ctl = installed / "bin" / "supervisorctl"
        run(ctl, "-c", configuration, "shutdown", environment=environment)
        wait_for(lambda: not agent.processes(), what="the end of supervisord")


def test_the_wheel_contains_all_files_of_conf(installed: Path) -> None:
    """Each file of conf/ is installed, byte for byte."""
    shipped = installed / "share" / "pattoo_mp" / "conf"
    assert {p.name: p.read_bytes() for p in shipped.iterdir()} == {
        p.name: p.read_bytes() for p in (ROOT / "conf").iterdir()
    }


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("man/man5", "docs/man/*.5"),
        ("man/man8", "docs/man/*.8"),
        ("bash-completion/completions", "completion/bash/*"),
        ("zsh/site-functions", "completion/zsh/*"),
        ("fish/vendor_completions.d", "completion/fish/*"),
    ],
)
def test_manuals_and_completion_are_where_man_and_each_shell_look_for_them(
    installed: Path, place: str, source: str
) -> None:
    """Below the environment, as below /usr."""
    found = {path.name: path.read_bytes() for path in (installed / "share" / place).iterdir()}
    assert found == {path.name: path.read_bytes() for path in ROOT.glob(source)}
    assert len(found) >= 4


def test_the_wheel_contains_all_files_of_the_page(installed: Path) -> None:
    """With the licence of what draws its charts."""
    (page,) = installed.glob("lib/python*/site-packages/pattoo_mp/receiver/page")
    for name in FILES:
        shipped = ROOT / "pattoo_mp" / "receiver" / "page" / name
        assert (page / name).read_bytes() == shipped.read_bytes(), name


def test_once_of_an_installed_agent_matches_its_schema(installed: Path) -> None:
    """The wheel contains the schema of `--once --json`, and the translations."""
    agent = installed / "bin" / NAME
    (schema,) = installed.glob("lib/python*/site-packages/pattoo_mp/cli/once.schema.json")
    validate(json.loads(run(agent, "--once", "--json")), json.loads(schema.read_text()))
    shipped = installed / "share" / "pattoo_mp" / "conf" / f"{NAME}.translations.csv"
    assert run(agent, "--translations") == shipped.read_text()


def test_check_and_doctor_of_an_installed_agent_match_their_schemas(
    agent: Agent, installed: Path
) -> None:
    """The wheel contains the schemas, the names for Prometheus, and the sample files."""
    assert [*installed.glob("lib/python*/site-packages/pattoo_mp/upload/remote_write/names.json")]
    agent.write(
        f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 300\n"
    )  # so that a busy host keeps up
    for verb in ("check", "doctor"):
        (schema,) = installed.glob(f"lib/python*/site-packages/pattoo_mp/cli/{verb}.schema.json")
        done = agent.run(f"--{verb}", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        validate(json.loads(done.stdout), json.loads(schema.read_text()))
    for name in ("pattoo.yaml", f"{NAME}.yaml"):
        shipped = installed / "share" / "pattoo_mp" / "conf" / name
        assert agent.run("--sample-config", "--file", name).stdout == shipped.read_text()


def test_every_extra_that_a_person_is_told_to_install_exists(installed: Path) -> None:
    """In the spelling of the metadata: pip before 23.3 knows no other, and only warns."""
    (metadata,) = installed.glob("lib/python*/site-packages/pattoo_mp-*.dist-info/METADATA")
    provided = set(re.findall(r"^Provides-Extra: (.+)$", metadata.read_text(), re.MULTILINE))
    told = {
        extra
        for path in (*ROOT.glob("*.md"), *ROOT.rglob("docs/*.md"), *ROOT.glob("pattoo_mp/**/*.py"))
        for named in re.findall(
            r"(?:'\.|pattoo_mp)\[([\w,-]+)\]|extra `([\w-]+)`", path.read_text()
        )
        for extra in "".join(named).split(",")
    }
    assert {"receiver", "encrypted", "textfile", "remote-write"} <= told
    assert told <= provided
    itself = re.findall(r"^Requires-Dist: pattoo_mp\[(.+)\]", metadata.read_text(), re.MULTILINE)
    assert {extra for extras in itself for extra in extras.split(",")} <= provided


def test_the_agent_needs_no_extra(installed: Path) -> None:
    """Flask and waitress are for the receiver only, which says what to install."""
    listing = run(installed / "bin" / "pip", "list")
    assert "Flask" not in listing
    done = subprocess.run(
        [installed / "bin" / "pattoo_mp_receiver"],
        capture_output=True, text=True, timeout=30, check=False, env=dict(os.environ), cwd="/",
    )  # fmt: skip
    assert done.returncode == 1
    assert 'pip install "pattoo_mp[receiver]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1
