"""Run --check and --sample-config."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.cli import check as _read_before_rights_are_given_up  # noqa: F401
from pattoo_mp.cli import main
from pattoo_mp.config import load
from pattoo_mp.config.settings import program_files
from pattoo_mp.doctor.files import SPOOL_BYTES
from pattoo_mp.paths import VARIABLE
from tests.support.agent import NAME
from tests.support.disks import fill, small
from tests.support.server import PattooServer, answering
from tests.support.unprivileged import NOBODY, as_nobody, run_by_nobody

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]


def test_a_good_configuration_is_reported_and_nothing_is_made(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Exit status 0, each setting with its source, and no directory is made."""
    agent = make_agent(port=server.port, interval=0.5)
    done = agent.run("--check")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {
        tuple(re.split(" {2,}", line.strip()))
        for line in done.stdout.splitlines()
        if line[:4] == " " * 4
    }
    assert ("polling_interval", "500 ms", f"{NAME}.yaml") in rows
    assert ("log_level", "info", "default") in rows
    assert f"http://127.0.0.1:{server.port}/pattoo/api/v1/agent/status  is well" in done.stdout
    assert done.stdout.endswith("\nAll is well.\n")
    assert [path.name for path in agent.home.iterdir()] == ["etc"]


def test_a_server_that_is_not_there_is_exit_1(make_agent: MakeAgent) -> None:
    """One line on stderr names the server and the reason."""
    done = make_agent(port=9).run("--check")
    assert done.returncode == 1
    assert done.stderr == (
        f"{NAME}: error: http://127.0.0.1:9/pattoo/api/v1/agent/status: Connection refused; "
        "expected a working pattoo server\n"
    )
    assert "All is well" not in done.stdout


def test_another_server_than_pattoo_is_exit_1(make_agent: MakeAgent, server: PattooServer) -> None:
    """The error quotes its answer."""
    server.status_page = answering(404, b"nothing here")
    done = make_agent(port=server.port).run("--check")
    assert done.returncode == 1
    assert "status 404 Not Found: 'nothing here'" in done.stderr
    server.status_page = answering(404, b"<title>Nothing</title>")
    done = make_agent(port=server.port).run("--check")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "status 404 with a page titled 'Nothing'; expected the status page of pattoo\n"
    )


def test_problems_are_reported_as_at_a_start(make_agent: MakeAgent) -> None:
    """Exit status 2 and the same lines as --start, for a wrong value, directory or file."""
    agent = make_agent()
    for broken in (
        f"{NAME}:\n  polling_interval: never\n  spool_max_age: 1\n",
        f"{NAME}: [\n",
    ):
        agent.write(f"{NAME}.yaml", broken)
        check, start = agent.run("--check"), agent.run("--start")
        assert (check.returncode, check.stderr) == (2, start.stderr)
        assert check.stdout.startswith(f"Configuration in {agent.configuration}\n")
    agent.write(f"{NAME}.yaml", "")
    (agent.home / "log").write_text("a file")
    check, start = agent.run("--check"), agent.run("--start")
    assert (check.returncode, check.stderr) == (2, start.stderr)
    assert "cannot be made (File exists)" in check.stdout


def test_a_directory_that_the_agents_user_may_not_make_is_exit_2(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The check runs as the agent's user; root would notice nothing."""
    agent = make_agent(port=server.port)
    agent.home.chmod(0o555)
    answer = as_nobody(lambda: check_here(agent))
    agent.home.chmod(0o755)
    assert answer.startswith("2\n")
    for name in ("log", "cache", "daemon"):
        assert f"'{agent.home}/{name}' cannot be made (Permission denied)" in answer


def check_here(agent: Agent) -> str:
    """Run --check in this process. Return its exit status and stderr."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setenv(VARIABLE, str(agent.configuration))
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            status = main(["--check"])
    return f"{status}\n{errors.getvalue()}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make root's files")
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("log/pattoo.log", 0o644),
        (f"daemon/agent_id/{NAME}.agent_id", 0o644),
        (f"daemon/agent_id/{NAME}.agent_id", 0o600),
        (f"daemon/pid/{NAME}.pid", 0o644),
        (f"daemon/pid/{NAME}.pid", 0o600),
        ("daemon/pid", 0o755),
        ("daemon/run", 0o755),
        ("daemon/agent_id", 0o755),
    ],
)
def test_files_of_roots_are_reported_if_a_start_would_fail(
    make_agent: MakeAgent, server: PattooServer, name: str, mode: int
) -> None:
    """A start succeeds where --check finds no problem, and --check names what makes a start fail."""
    agent = make_agent(port=server.port)
    agent.home.chmod(0o755)
    for directory in ("log", "cache", "daemon"):
        (agent.home / directory).mkdir()
    path = agent.home / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix:
        path.write_text("a" * 64 if path.suffix == ".agent_id" else "")
    else:
        path.mkdir()
    for made in (*agent.home.rglob("*"), agent.home):
        if agent.configuration not in (made, *made.parents):
            os.chown(made, NOBODY, NOBODY)
    os.chown(path, 0, 0)
    path.chmod(mode)
    run_by_nobody(agent)
    check = agent.run("--check")
    start = agent.run("--start")
    assert check.returncode == (0 if start.returncode == 0 else 2), check.stderr
    assert ("All is well." in check.stdout) == (check.returncode == 0)
    assert check.returncode == 0 or str(path) in check.stderr


def test_a_bad_identity_is_reported_as_at_a_start(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The line is the same."""
    agent = make_agent(port=server.port)
    path = agent.home / "daemon" / "agent_id" / f"{NAME}.agent_id"
    path.parent.mkdir(parents=True)
    path.write_text("nobody")
    check = agent.run("--check")
    assert (check.returncode, check.stderr) == (2, agent.run("--start").stderr)


def test_a_spool_that_another_agent_uses_is_reported(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """--check and --doctor name that agent's uploader. They do not report an agent's own spool."""
    agent, other = make_agent(port=server.port), make_agent(port=server.port)
    agent.start()
    assert agent.run("--check").returncode == 0
    uploader = agent.worker("uploader")
    other.home /= "other"
    other.home.mkdir()
    other.configuration.mkdir()
    for file in agent.configuration.iterdir():
        other.write(file.name, file.read_text())
    other.set_shared("daemon_directory", f"{other.home}/daemon")
    check = other.run("--check")
    taken = f"{agent.spool} is used by another agent (process {uploader})"
    assert (check.returncode, check.stderr) == (
        2,
        f"{NAME}: error: {taken}; expected a file that the agent can use\n".replace(
            " is", ": is", 1
        ),
    )
    doctor = other.run("--doctor")
    assert doctor.returncode == 1
    assert f"bad   spool                     {taken}" in doctor.stdout


def test_a_disk_without_room_for_a_spool_is_reported(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """With exactly the room that is required, the agent starts. --start would fail only after half a minute."""
    agent = make_agent(port=server.port)
    with small(agent.home / "cache") as disk:
        fill(disk, but_for=SPOOL_BYTES - 4096)
        check = agent.run("--check")
        assert check.returncode == 2
        assert check.stderr.startswith(f"{NAME}: error: {agent.spool}: is on a disk that is full;")
        assert "is on a disk that is full" in agent.run("--doctor").stdout
        (disk / "filler").unlink()
        fill(disk, but_for=SPOOL_BYTES)
        assert agent.run("--check").returncode == 0
        agent.start()
        agent.end()


def test_the_file_that_names_the_server_is_reported(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """pattoo_agent.yaml wins; a note says that the section in pattoo.yaml does not count."""
    agent = make_agent(port=9)
    agent.write(
        "pattoo_agent.yaml",
        f"pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: {server.port}\n",
    )
    done = agent.run("--check")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["ip_bind_port", str(server.port), "pattoo_agent.yaml"] in rows
    assert f"pattoo.yaml: pattoo_agent_api is ignored: {agent.configuration}" in done.stdout


def test_json_has_the_same_content(make_agent: MakeAgent, server: PattooServer) -> None:
    """It has the settings, directories, server and problems."""
    agent = make_agent(port=server.port)
    document = json.loads(agent.run("--check", "--json").stdout)
    settings = {setting["name"]: setting for setting in document["settings"]}
    assert settings["ip_bind_port"]["value"] == server.port
    assert settings["system_daemon_directory"]["value"] == f"{agent.home}/daemon"
    assert (document["server"]["error"], document["problems"]) == ("", [])
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 2020-01-01\n")
    done = agent.run("--check", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, len(document["problems"]), document["server"]) == (2, 1, None)


def test_the_sample_files_are_accepted(make_agent: MakeAgent) -> None:
    """With --file each is printed alone; without it, both are printed."""
    agent = make_agent()
    for name in program_files():
        agent.write(name, agent.run("--sample-config", "--file", name).stdout)
    assert load.check(agent.configuration).ip_bind_port == 20201
    both = agent.run("--sample-config")
    assert both.returncode == 0
    assert all(f"# ---------- {name} ----------\n" in both.stdout for name in program_files())


@pytest.mark.parametrize(
    "words", [("--start", "--json"), ("--check", "--file", program_files()[0]), ("--sample-config", "--file", "x")]
)  # fmt: skip
def test_options_are_only_accepted_with_their_verbs(
    make_agent: MakeAgent, words: tuple[str, ...]
) -> None:
    """Anything else is a usage error."""
    done = make_agent().run(*words)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_text_files_without_their_library_are_noted(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """An agent runs without it, and sends none of them: not a problem, but not silent either."""
    agent = make_agent(port=server.port)
    agent.set_own("families", "[textfile]")
    agent.set_own("textfile_directory", str(agent.home))
    lacking = "families: textfile sends nothing: prometheus_client is not installed"
    assert lacking not in agent.run("--check").stdout
    # As on a host where it is not installed.
    hide = (
        "import sys\n"
        "from importlib import util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'prometheus_client' else find(name, *more)\n"
    )
    (agent.home / "sitecustomize.py").write_text(hide)
    agent.environment["PYTHONPATH"] = str(agent.home)
    done = agent.run("--check")
    assert done.returncode == 0, done.stderr
    assert f"Note: {lacking}; expected the extra `textfile`" in done.stdout


@pytest.mark.parametrize("down", [0, 1, 2])
def test_every_server_must_be_well(
    make_agent: MakeAgent, server: PattooServer, elsewhere: PattooServer, down: int
) -> None:
    """Whichever of three is down: it is named, the exit status is 1, and not all is well."""
    agent = make_agent()
    third = PattooServer()
    try:
        ports = [server.port, elsewhere.port, third.port]
        agent.set_own("servers", json.dumps([f"http://127.0.0.1:{port}" for port in ports]))
        assert agent.run("--check").returncode == 0
        (server, elsewhere, third)[down].down()
        done = agent.run("--check")
    finally:
        third.close()
    assert done.returncode == 1
    assert f"http://127.0.0.1:{ports[down]}/pattoo/api/v1/agent/status: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "All is well" not in done.stdout
    assert done.stdout.count("is well, answers within") == 2


@pytest.mark.parametrize("name", ["tls_ca_file", "credentials_file"])
def test_a_file_of_the_transport_that_is_missing_is_reported_as_at_a_start(
    make_agent: MakeAgent, server: PattooServer, name: str
) -> None:
    """Exit status 2 and the same line, although the server answers without it."""
    agent = make_agent(port=server.port)
    agent.set_own(name, f"{agent.home}/nothing")
    check, start = agent.run("--check"), agent.run("--start")
    assert (check.returncode, check.stderr) == (2, start.stderr)
    assert f"{name}: '{agent.home}/nothing'" in check.stderr
