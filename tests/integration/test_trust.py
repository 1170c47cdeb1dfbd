"""Files and directories that another user could change are refused, and nothing in them is believed."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import NAME
from tests.support.unprivileged import BY_NOBODY, NOBODY
from tests.support.waiting import wait_for
from tests.util.test_trust import allow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]

EXPECTED = "expected a path that only root and the agent's user can change"

only_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give a directory to another user"
)

#: Holds the lock of a PID file, as a control process does, and says so.
HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def public(home: Path) -> Path:
    """A directory that everybody may write to."""
    home.chmod(0o755)
    path = home / "public"
    path.mkdir()
    path.chmod(0o1777)
    return path


def laid(public: Path, name: str = "laid") -> Path:
    """A directory that the user nobody placed there."""
    path = public / name
    path.mkdir(mode=0o755)
    path.chmod(0o755)
    os.chown(path, NOBODY, NOBODY)
    return path


def private_file(public: Path) -> Path:
    """A file that only its owner may read, where every user may replace it."""
    public.chmod(0o777)
    file = public / "file"
    file.write_text("user:password")
    file.chmod(0o600)
    return file


def places(agent: Agent) -> list[str]:
    """What the agent made below its home."""
    return sorted(
        path.name for path in agent.home.iterdir() if path.name in {"log", "cache", "daemon"}
    )


def refuse(agent: Agent, line: str) -> None:
    """Assert that a start, `--check` and `--doctor` report this line, and make nothing."""
    before = places(agent)
    for verb in ("--start", "--restart", "--foreground", "--check"):
        done = agent.run(verb)
        assert (done.returncode, line in done.stderr) == (2, True), (verb, done.stderr, line)
    assert "All is well" not in done.stdout
    found = agent.run("--doctor")
    what, expected = line.split("; ")
    assert found.returncode == 1
    assert what.partition(": ")[2].split("' ")[-1] in found.stdout, found.stdout
    assert expected in " ".join(found.stdout.split())
    assert places(agent) == before


SETTINGS = ["log_directory", "cache_directory", "daemon_directory", "system_daemon_directory"]


@only_root
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_directory_that_another_user_placed_is_refused(
    make_agent: MakeAgent, public: Path, setting: str
) -> None:
    """Below a sticky directory. Nothing is made in it."""
    agent = make_agent()
    theirs = laid(public)
    agent.set_shared(setting, str(theirs))
    refuse(
        agent,
        f"{agent.configuration}/pattoo.yaml: pattoo: {setting}: '{theirs}' belongs to nobody; "
        f"{EXPECTED}",
    )
    assert list(theirs.iterdir()) == []


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_directory_that_everybody_may_write_to_is_refused(
    make_agent: MakeAgent, public: Path, setting: str, mode: int
) -> None:
    """Also one in which another user may only add files."""
    agent = make_agent()
    public.chmod(mode)
    agent.set_shared(setting, str(public))
    refuse(
        agent,
        f"{agent.configuration}/pattoo.yaml: pattoo: {setting}: '{public}' can be written to by "
        f"everybody (mode {mode:04o}); {EXPECTED}",
    )
    assert list(public.iterdir()) == []


def test_an_access_list_on_the_way_is_refused(make_agent: MakeAgent, home: Path) -> None:
    """The directory itself is private."""
    agent = make_agent()
    listed = home / "listed"
    (listed / "private").mkdir(parents=True, mode=0o700)
    allow(listed, 0x02, 54321)
    agent.set_shared("log_directory", str(listed / "private"))
    refuse(
        agent,
        f"{agent.configuration}/pattoo.yaml: pattoo: log_directory: '{listed}/private' is below "
        f"{listed}, which can be written to by 54321 (mode 0775); {EXPECTED}",
    )


def test_a_directory_of_our_own_below_a_sticky_one_is_used(
    make_agent: MakeAgent, public: Path, server: PattooServer
) -> None:
    """It is made there, private."""
    agent = make_agent(port=server.port)
    agent.set_shared("log_directory", str(public / "ours" / "log"))
    agent.start()
    agent.stop()
    assert (public / "ours" / "log").stat().st_mode & 0o777 == 0o700
    assert agent.run("--check").returncode == 0


@pytest.mark.parametrize("name", ["", "pattoo.yaml", f"{NAME}.yaml"])
def test_a_configuration_that_everybody_may_write_to_is_refused(
    make_agent: MakeAgent, name: str
) -> None:
    """Its directory, or one of its files. A running agent is not looked for, either."""
    agent = make_agent()
    path = agent.configuration / name
    path.chmod(0o777)
    line = f"{path}: can be written to by everybody (mode 0777); {EXPECTED}"
    refuse(agent, line)
    for verb in ("--status", "--stop", "--reload"):
        done = agent.run(verb)
        assert (done.returncode, line in done.stderr) == (2, True), (verb, done.stderr)


@pytest.mark.parametrize("setting", ["credentials_file", "proxy_credentials_file", "tls_ca_file"])
def test_a_file_of_the_transport_in_a_public_directory_is_refused(
    make_agent: MakeAgent, public: Path, setting: str
) -> None:
    """However private it is: another user can replace it."""
    agent = make_agent()
    file = private_file(public)
    agent.set_own(setting, str(file))
    refuse(
        agent,
        f"{agent.configuration}/{NAME}.yaml: {NAME}: {setting}: '{file}' is below {public}, which can be "
        f"written to by everybody (mode 0777); {EXPECTED}",
    )


def test_a_file_of_an_output_in_a_public_directory_is_refused(
    make_agent: MakeAgent, public: Path
) -> None:
    """As those of the top level; the line names the output."""
    agent = make_agent()
    file = private_file(public)
    url = "https://metrics.example.org/api/v1/write"
    agent.set_own(
        "outputs",
        f"[{{kind: remote_write, name: metrics, url: '{url}', credentials_file: {file}}}]",
    )
    refuse(
        agent,
        f"{agent.configuration}/{NAME}.yaml: {NAME}: outputs: metrics: credentials_file: '{file}' is "
        f"below {public}, which can be written to by everybody (mode 0777); {EXPECTED}",
    )


def test_a_file_of_the_agents_that_everybody_may_write_to_is_refused(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Here the spool, which would hold polls that the agent never made."""
    agent = make_agent(port=server.port)
    agent.start()
    agent.stop()
    agent.spool.chmod(0o666)
    refuse(agent, f"{agent.spool}: can be written to by everybody (mode 0666); {EXPECTED}")


def test_a_reload_refuses_a_public_directory(
    make_agent: MakeAgent, public: Path, server: PattooServer
) -> None:
    """The agent goes on with its former configuration."""
    agent = make_agent(port=server.port)
    agent.start()
    pid = agent.pid
    agent.set_own("families", "[textfile]")
    agent.set_own("textfile_directory", str(public))
    done = agent.run("--reload")
    assert done.returncode == 2
    assert f"textfile_directory: '{public}' can be written to by everybody" in done.stderr
    assert agent.pid == pid


@only_root
@pytest.mark.parametrize(
    "command",
    [
        "--stop",
        "--stop --force",
        "--status",
        "--reload",
        "--restart",
        "--restart --force",
        "--start",
    ],
)
def test_roots_commands_believe_nothing_that_another_user_placed(
    make_agent: MakeAgent, public: Path, command: str
) -> None:
    """A process that holds the lock of a PID file there is not signalled."""
    agent = make_agent()
    theirs = laid(public)
    (theirs / "pid").mkdir()
    os.chown(theirs / "pid", NOBODY, NOBODY)
    agent.set_shared("daemon_directory", str(theirs))
    with subprocess.Popen(
        [*BY_NOBODY, "/usr/bin/python3", "-c", HOLD, theirs / "pid" / f"{NAME}.pid"],
        stdout=subprocess.PIPE, start_new_session=True,
    ) as stranger:  # fmt: skip
        try:
            assert stranger.stdout is not None
            assert wait_for(stranger.stdout.readline, what="the lock") == b"held\n"
            done = agent.run(*command.split())
            assert done.returncode == 2
            assert f"{theirs}" in done.stderr
            assert "belongs to nobody; expected" in done.stderr
            assert stranger.poll() is None
        finally:
            stranger.kill()


@only_root
@pytest.mark.parametrize("name", ["pid", "run"])
def test_roots_commands_believe_nothing_below_a_public_part(
    make_agent: MakeAgent, server: PattooServer, name: str
) -> None:
    """The state directory is private, but a directory in it is not."""
    agent = make_agent(port=server.port)
    agent.start()
    part = agent.home / "daemon" / name
    part.chmod(0o777)
    for verb in ("--stop", "--status", "--reload"):
        done = agent.run(verb)
        assert done.returncode == 2
        assert f"{part}: can be written to by everybody (mode 0777); {EXPECTED}" in done.stderr
    part.chmod(0o700)
    agent.stop()


@only_root
def test_root_does_not_follow_the_configuration_of_another_user(
    make_agent: MakeAgent, home: Path
) -> None:
    """One user's files may not decide what root does with another's directories."""
    agent = make_agent()
    home.chmod(0o755)
    for name in ("log", "cache", "daemon"):
        (home / name).mkdir()
        os.chown(home / name, NOBODY, NOBODY)
    for path in (agent.configuration, *agent.configuration.iterdir()):
        os.chown(path, 1, 1)
    for verb in ("--start", "--check"):
        done = agent.run(verb)
        assert done.returncode == 2
        assert "its directories belong to several users" in done.stderr
