"""Run --doctor on hosts without and with trouble."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import threading
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from pattoo_mp.cli import main
from pattoo_mp.config.reading import read_files
from pattoo_mp.doctor.examination import Examination
from pattoo_mp.doctor.finding import State
from pattoo_mp.paths import VARIABLE
from tests.support.agent import NAME
from tests.support.server import hanging
from tests.support.supervised import Supervised
from tests.support.unprivileged import NOBODY, as_nobody, run_by_nobody
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]

VALIDATOR = Draft202012Validator(
    json.loads((files("pattoo_mp.cli") / "doctor.schema.json").read_text())
)


def findings_of(done: subprocess.CompletedProcess[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """The findings of --doctor --json, by part and subject."""
    document = json.loads(done.stdout)
    VALIDATOR.validate(document)
    assert done.returncode == (0 if document["is_well"] else 1)
    return {(f["part"], f["subject"]): f for f in document["findings"]}


def contents(home: Path) -> list[str]:
    """The paths of all files and directories below `home`."""
    return sorted(str(path) for path in home.rglob("*"))


def test_before_the_first_start_there_may_be_no_trouble(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The exit status is 0, every part is reported, and no file is made."""
    agent = make_agent(port=server.port, interval=300)
    before = contents(agent.home)
    done = agent.run("--doctor")
    assert (done.returncode, done.stderr) == (0, "")
    titles = [line for line in done.stdout.splitlines() if line and line[0] != " "]
    assert titles[:-1] == [
        "Configuration", "Agent", "User", "Mounts", "Name", "Places", "Server", "Clock", "Polls",
        "Spool",
    ]  # fmt: skip
    assert titles[-1].startswith("All is well")
    assert contents(agent.home) == before


def test_a_running_agent_is_not_disturbed(make_agent: MakeAgent, server: PattooServer) -> None:
    """It is found, and its processes and files stay as they are."""
    agent = make_agent(port=server.port, interval=86400)
    agent.start()
    wait_for(lambda: agent.status()["polls"]["delivered"] == 1, what="the first poll's delivery")
    before = agent.processes(), contents(agent.home)
    found = findings_of(agent.run("--doctor", "--json"))
    assert agent.run("--check").returncode == 0
    assert (agent.processes(), contents(agent.home)) == before
    assert found["Agent", "process"]["found"].startswith(f"{agent.pid}, ")
    assert found["User", "user"]["found"].endswith(", who runs the agent")
    assert all(f["state"] == "ok" for (part, _), f in found.items() if part == "Places")
    assert found["Name", "identity"]["state"] == "ok"
    assert len(server.posts) == 1


def test_a_last_run_that_was_cut_short_is_reported(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """After a SIGKILL, as text and as JSON; not once the agent runs again, nor after a stop."""
    agent = make_agent(port=server.port)
    agent.start()
    pid = agent.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not agent.processes(), what="the end of all processes")
    finding = findings_of(agent.run("--doctor", "--json"))["Agent", "last run"]
    assert finding["state"] == State.TROUBLE.value
    assert f"process {pid} did not end in order" in finding["found"]
    assert finding["found"] in agent.run("--doctor").stdout
    agent.start()
    assert ("Agent", "last run") not in findings_of(agent.run("--doctor", "--json"))
    agent.stop()
    assert ("Agent", "last run") not in findings_of(agent.run("--doctor", "--json"))


def test_a_server_that_is_not_there_is_exit_1(make_agent: MakeAgent) -> None:
    """The finding has advice."""
    found = findings_of(make_agent(port=9, interval=300).run("--doctor", "--json"))
    bad = [finding for finding in found.values() if finding["state"] == "bad"]
    assert [finding["subject"] for finding in bad] == ["server"]
    assert "Connection refused" in bad[0]["found"]
    assert "ip_bind_port" in bad[0]["advice"]


def test_a_part_that_hangs_is_a_finding_and_the_others_go_on(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """No part takes longer than its time limit."""
    until = threading.Event()
    server.status_page = hanging(until)
    agent = make_agent(port=server.port, interval=300)
    examination = Examination(agent.configuration, read_files(agent.configuration), 3.0)
    parts = {part.title: part for part in examination.parts()}
    until.set()
    assert [(f.subject, f.found) for f in parts["Server"].findings] == [
        ("server", "no answer within 3 s")
    ]
    assert parts["Polls"].findings[0].state is State.OK
    assert "Spool" in parts


def test_a_part_that_fails_is_a_finding_and_the_others_go_on(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """No spool can be made to measure a poll's size in it; the rest is reported."""
    agent = make_agent(port=server.port, interval=300)
    agent.command = ["prlimit", "--fsize=0", *agent.command]
    found = findings_of(agent.run("--doctor", "--json"))
    assert [f["part"] for f in found.values() if f["state"] == "bad"] == ["Spool"]
    assert found["Spool", "disk"]["state"] == "ok"


def test_a_setting_in_the_wrong_section_is_noted(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """It is no error, but hardly what was meant."""
    agent = make_agent(port=server.port)
    text = (agent.configuration / "pattoo.yaml").read_text()
    agent.write("pattoo.yaml", text.replace("pattoo:\n", "pattoo:\n  polling_interval: 5\n", 1))
    note = f"{agent.configuration}/pattoo.yaml: pattoo: polling_interval is not read here"
    assert f"Note: {note}" in agent.run("--check").stdout
    assert f"  note  files                     {note}" in agent.run("--doctor").stdout


def test_an_invalid_configuration_is_exit_2(make_agent: MakeAgent) -> None:
    """The error line is that of every other command."""
    agent = make_agent()
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: never\n")
    done = agent.run("--doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert "polling_interval: 'never'; expected a time such as 300 ms" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to another user")
def test_root_checks_with_the_permissions_of_the_agents_user(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """A directory that only root may write to is trouble."""
    agent = make_agent(port=server.port)
    agent.home.chmod(0o755)
    for name in ("daemon", "cache", "log"):
        (agent.home / name).mkdir()
        os.chown(agent.home / name, NOBODY, NOBODY)
    os.chown(agent.home / "log", 0, 0)
    found = findings_of(agent.run("--doctor", "--json"))
    assert found["User", "user"]["found"] == f"nobody, who owns {agent.home}/daemon"
    assert found["Places", "cache_directory"]["state"] == "ok"
    assert found["Places", "log_directory"]["state"] == "bad"
    assert "install -d -o nobody" in found["Places", "log_directory"]["advice"]
    assert ("Places", "log") not in found  # its directory is reported already


@pytest.mark.skipif(os.geteuid() != 0, reason="needs an agent of root's and another user")
def test_another_user_gets_no_advice_on_the_agents_files(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """All of them would look inaccessible, and giving access would be a mistake."""
    agent = make_agent(port=server.port, interval=300)  # so that a busy host keeps up
    agent.start()
    agent.home.chmod(0o755)
    printed = as_nobody(lambda: doctor_here(agent))
    agent.stop()
    assert "you are not the agent's" in printed
    assert "run --doctor as that user, or as root" in printed
    assert "Places" not in printed
    assert printed.startswith("0\n")


def test_a_pid_file_that_the_agents_user_cannot_read_is_trouble(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """That user is not taken for another one, and not advised to run --doctor as itself."""
    agent = make_agent(port=server.port, interval=300)  # so that a busy host keeps up
    run_by_nobody(agent)
    agent.home.chmod(0o755)
    for name in ("daemon", "cache", "log", "daemon/pid"):
        (agent.home / name).mkdir()
        os.chown(agent.home / name, NOBODY, NOBODY)
    path = agent.home / "daemon" / "pid" / f"{NAME}.pid"
    path.touch(mode=0o600)
    found = findings_of(agent.run("--doctor", "--json"))
    assert found["User", "user"]["state"] == "ok"
    assert found["Agent", "process"]["advice"] == "run --doctor as root"
    bad = [finding for finding in found.values() if finding["state"] == "bad"]
    assert [finding["subject"] for finding in bad] == ["PID file"]
    assert bad[0]["found"] == (
        f"{path} cannot be read and written, as nobody: root owns it (mode 0600)"
    )
    assert bad[0]["advice"].startswith(f"chown nobody {path}")


def doctor_here(agent: Agent) -> str:
    """Run --doctor in this process. Return its exit status and report."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setenv(VARIABLE, str(agent.configuration))
        status = main(["--doctor"])
    return f"{status}\n{out.getvalue()}"


def test_a_supervisord_that_runs_the_agent_is_named(home: Path, server: PattooServer) -> None:
    """It is named by its address, both while the agent runs and when it is stopped."""
    agent = Supervised(home, port=server.port)
    with agent.supervised():
        socket = f"unix://{agent.configuration}/supervisor.sock"
        found = findings_of(agent.run("--doctor", "--json"))["Agent", "process"]
        assert found["found"] == f"{agent.pid}, run by supervisord at {socket} (RUNNING)"
        agent.stop()
        found = findings_of(agent.run("--doctor", "--json"))["Agent", "process"]
        assert found["found"] == f"not running (known to supervisord at {socket} (STOPPED))"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_read_only_root_without_tmp_is_no_trouble(
    make_agent: MakeAgent, server: PattooServer, home: Path
) -> None:
    """As in a container: only the agent's directories can be written to."""
    agent = make_agent(port=server.port, interval=300)
    agent.start()
    mounts = 'mount --bind "$0" "$0" && mount -o remount,ro,bind / && cd / && exec "$@"'
    agent.command = ["unshare", "-m", "sh", "-c", mounts, str(home), *agent.command]
    done = agent.run("--doctor", "--json")
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no namespace can be made here: {done.stderr}")
    found = findings_of(done)
    assert [f for f in found.values() if f["part"] == "Spool" and f["state"] == "bad"] == []
    assert found["Spool", "outage"]["state"] == "ok"
