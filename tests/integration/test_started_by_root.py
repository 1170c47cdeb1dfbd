"""Root starts the agent of another user: it runs as the owner of its directories."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config import isolated
from tests.support.agent import NAME, ROOT
from tests.support.unprivileged import BY_NOBODY, NOBODY, python_of_all
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]


def of_nobody(made: Agent, *names: str) -> Agent:
    """Give the directories `names` of an agent to nobody; its commands are run by root."""
    python, environment = python_of_all()
    path = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    made.environment |= {**environment, "PYTHONPATH": path}
    made.command = [python, "-m", "pattoo_mp"]
    made.home.chmod(0o755)
    for name in names:
        (made.home / name).mkdir()
        os.chown(made.home / name, NOBODY, NOBODY)
    return made


def owners(agent: Agent) -> dict[str, int]:
    """The owner of each file that the agent made."""
    made = [path for name in ("log", "cache", "daemon") for path in (agent.home / name).rglob("*")]
    return {str(path): path.lstat().st_uid for path in made}


def ids(pid: int) -> list[str]:
    """The user, group and further groups of a process (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return [line for line in lines if line.startswith(("Uid", "Gid", "Groups", "CapEff"))]


def test_root_starts_and_restarts_the_agent_as_the_owner_of_its_directories(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """No file of root's is left, so the owner can start it again. The answer names the user."""
    agent = of_nobody(make_agent(port=server.port), "log", "cache", "daemon")
    for verb in ("--start", "--restart"):
        done = agent.run(verb)
        assert done.returncode == 0, done.stderr + agent.log
        assert done.stdout.endswith("\nIt runs as nobody, who owns its directories.\n")
        all_of_it = [agent.pid or 0, agent.worker("collector"), agent.worker("uploader")]
        for pid in all_of_it:
            assert ids(pid) == [
                "Uid:\t" + "\t".join([str(NOBODY)] * 4),
                "Gid:\t" + "\t".join([str(NOBODY)] * 4),
                f"Groups:\t{NOBODY} ",
                "CapEff:\t0000000000000000",
            ]
    wait_for(server.timestamps, what="a post")
    agent.stop()
    assert set(owners(agent).values()) == {NOBODY}
    agent.command = [*BY_NOBODY, *agent.command]
    agent.start()
    agent.stop()


def test_a_supervisor_of_roots_runs_it_as_the_owner_in_the_same_process(
    make_agent: MakeAgent,
) -> None:
    """`--foreground`, without `user=` in supervisord's section: its child is still control."""
    agent = of_nobody(make_agent(), "log", "cache", "daemon")
    with agent.foreground(cwd="/") as control:
        assert wait_for(lambda: agent.pid, what="the lock") == control.pid
        assert ids(control.pid)[0] == "Uid:\t" + "\t".join([str(NOBODY)] * 4)
        agent.worker("uploader")  # control handles signals by then
        control.terminate()
        assert control.wait(30) == 0


def test_directories_of_root_stay_roots(make_agent: MakeAgent) -> None:
    """An agent whose directories are root's runs as root, as before."""
    agent = of_nobody(make_agent())
    agent.start()
    assert ids(agent.pid or 0)[0] == "Uid:\t0\t0\t0\t0"
    agent.stop()


def test_directories_of_several_users_are_refused(make_agent: MakeAgent) -> None:
    """The line names each, and nothing is made."""
    agent = of_nobody(make_agent(), "daemon", "log")
    os.chown(agent.home / "log", 1, 1)
    done = agent.run("--start")
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"{agent.configuration}: its directories belong to several users ({agent.home}/log to "
        f"daemon, {agent.home}/daemon to nobody); expected one owner\n"
    )
    assert not (agent.home / "cache").exists()


def test_a_place_that_the_owner_cannot_use_is_named(make_agent: MakeAgent) -> None:
    """A directory of root's among them is no reason to run as root."""
    agent = of_nobody(make_agent(), "log", "daemon")
    (agent.home / "cache").mkdir(mode=0o700)
    done = agent.run("--start")
    assert done.returncode == 2
    assert f"{agent.home}/cache" in done.stderr
    assert "as nobody" in done.stderr


def test_a_program_that_the_owner_cannot_run_is_named(make_agent: MakeAgent) -> None:
    """Root's own checkout, for example."""
    agent = of_nobody(make_agent(), "log", "cache", "daemon")
    closed = agent.home / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(ROOT / "pattoo_mp", closed / "pattoo_mp")
    python = agent.command[0]
    agent.command = [python, str(closed / "pattoo_mp" / "__main__.py")]
    done = agent.run("--start")
    assert done.returncode == 1
    assert f"{python}: nobody, the owner of the agent's directories, cannot run it" in done.stderr


def test_a_directory_that_another_may_have_placed_has_no_say(home: Path) -> None:
    """In a world-writable place everybody could choose the user that root becomes."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    public = home / "public"
    public.mkdir()
    public.chmod(0o1777)
    (public / "cache").mkdir()
    os.chown(public / "cache", NOBODY, NOBODY)
    (home / "pattoo.yaml").write_text(
        f"pattoo:\n  log_directory: {home}/log\n  cache_directory: {public}/cache\n"
        f"  daemon_directory: {home}/daemon\n"
    )
    (home / f"{NAME}.yaml").write_text(f"{NAME}:\n  polling_interval: 60\n")
    assert isolated.find_owner(home) is None
