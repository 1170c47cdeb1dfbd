"""--check and --sample-config, tried as an operator would."""

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.cli import check as _read_before_rights_are_given_up  # noqa: F401
from pattoo_mp.cli import main
from pattoo_mp.config import load
from pattoo_mp.config.settings import FILES
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


def test_what_is_well_is_said_and_nothing_is_made(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Exit 0, each setting with its source, and not one directory more than before."""
    agent = make_agent(port=server.port, interval=0.5)
    done = agent.run("--check")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {
        tuple(line.split(maxsplit=2)) for line in done.stdout.splitlines() if line[:4] == " " * 4
    }
    assert ("polling_interval", "0.5", f"{NAME}.yaml") in rows
    assert ("log_level", "info", "default") in rows
    assert f"http://127.0.0.1:{server.port}/pattoo/api/v1/agent/status  is well" in done.stdout
    assert done.stdout.endswith("\nAll is well.\n")
    assert [path.name for path in agent.home.iterdir()] == ["etc"]


def test_a_server_that_is_not_there_is_exit_1(make_agent: MakeAgent) -> None:
    """One line on stderr says which, and why."""
    done = make_agent(port=9).run("--check")
    assert done.returncode == 1
    assert done.stderr == (
        f"{NAME}: error: http://127.0.0.1:9/pattoo/api/v1/agent/status: Connection refused; "
        "expected a working pattoo server\n"
    )
    assert "All is well" not in done.stdout


def test_another_server_than_pattoo_is_exit_1(make_agent: MakeAgent, server: PattooServer) -> None:
    """What it says instead is told."""
    server.status_page = answering(404, b"nothing here")
    done = make_agent(port=server.port).run("--check")
    assert done.returncode == 1
    assert "status 404 Not Found: 'nothing here'" in done.stderr


def test_what_is_wrong_is_said_as_at_a_start(make_agent: MakeAgent) -> None:
    """Exit 2 and the same lines, whatever is wrong: a value, a directory, a file."""
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
    """Told to the user who is to run it; root would see no trouble."""
    agent = make_agent(port=server.port)
    agent.home.chmod(0o555)
    answer = as_nobody(lambda: check_here(agent))
    agent.home.chmod(0o755)
    assert answer.startswith("2\n")
    for name in ("log", "cache", "daemon"):
        assert f"'{agent.home}/{name}' cannot be made (Permission denied)" in answer


def check_here(agent: Agent) -> str:
    """Exit status and complaints of --check in this process."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setenv(VARIABLE, str(agent.configuration))
        with contextlib.redirect_stderr(io.StringIO()) as complaints:
            status = main(["--check"])
    return f"{status}\n{complaints.getvalue()}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave what is closed to others")
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
def test_what_root_left_is_told_where_a_start_would_not_go_on(
    make_agent: MakeAgent, server: PattooServer, name: str, mode: int
) -> None:
    """Of what --check calls well a start makes an agent, and what it does not it names."""
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


def test_an_identity_that_is_none_is_told_as_at_a_start(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """In the same line."""
    agent = make_agent(port=server.port)
    path = agent.home / "daemon" / "agent_id" / f"{NAME}.agent_id"
    path.parent.mkdir(parents=True)
    path.write_text("nobody")
    check = agent.run("--check")
    assert (check.returncode, check.stderr) == (2, agent.run("--start").stderr)


def test_a_spool_of_another_agent_is_told(make_agent: MakeAgent, server: PattooServer) -> None:
    """By --check and --doctor, with that agent's uploader; of its own agent neither says it."""
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


def test_a_disk_without_room_is_told_and_with_as_much_as_is_asked_for_it_starts(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """At once, and by --doctor too; --start says it after half a minute."""
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


def test_which_file_names_the_server_is_said(make_agent: MakeAgent, server: PattooServer) -> None:
    """pattoo_agent.yaml wins, and that pattoo.yaml has the section too is not passed over."""
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


def test_json_says_the_same(make_agent: MakeAgent, server: PattooServer) -> None:
    """For a program: settings, directories, server, problems."""
    agent = make_agent(port=server.port)
    told = json.loads(agent.run("--check", "--json").stdout)
    settings = {setting["name"]: setting for setting in told["settings"]}
    assert settings["ip_bind_port"]["value"] == server.port
    assert settings["system_daemon_directory"]["value"] == f"{agent.home}/daemon"
    assert (told["server"]["error"], told["problems"]) == ("", [])
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 2020-01-01\n")
    done = agent.run("--check", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, len(told["problems"]), told["server"]) == (2, 1, None)


def test_a_sample_begins_a_configuration(make_agent: MakeAgent) -> None:
    """Each file of --sample-config --file is accepted; without --file both are printed."""
    agent = make_agent()
    for name in FILES:
        agent.write(name, agent.run("--sample-config", "--file", name).stdout)
    assert load.check(agent.configuration).ip_bind_port == 20201
    both = agent.run("--sample-config")
    assert both.returncode == 0
    assert all(f"# ---------- {name} ----------\n" in both.stdout for name in FILES)


@pytest.mark.parametrize(
    "words", [("--start", "--json"), ("--check", "--file", FILES[0]), ("--sample-config", "--file", "x")]
)  # fmt: skip
def test_options_go_with_their_verbs(make_agent: MakeAgent, words: tuple[str, ...]) -> None:
    """Anything else is bad usage."""
    done = make_agent().run(*words)
    assert done.returncode == 2
    assert "usage:" in done.stderr
