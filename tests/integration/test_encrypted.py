"""The real agent in encrypted mode."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.test_faults import assert_unbroken
from tests.support.agent import NAME
from tests.support.keyrings import AGENT_ID
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.decrypting import DecryptingServer
    from tests.support.keyrings import Keyrings
    from tests.support.server import PattooServer
    from tests.support.standstill import Host

    MakeAgent = Callable[..., Agent]


def give_keys(agent: Agent, keyrings: Keyrings) -> Path:
    """Give the agent an identity and the keys that belong to it. Return the directory of the keys."""
    identity = agent.home / "daemon" / "agent_id" / f"{NAME}.agent_id"
    identity.parent.mkdir(parents=True)
    identity.write_text(f"{AGENT_ID}\n")
    keys = agent.home / "daemon" / "keys"
    keys.mkdir()
    return keyrings.of_agent(keys / NAME).directory


def set_encrypted(agent: Agent, encrypted: object) -> None:
    """Set `encrypted` in the configuration."""
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 0.1\n  encrypted: {encrypted}\n")


def wait_for_posts(server: PattooServer, number: int) -> None:
    """Wait until so many more posts have arrived."""
    wanted = len(server.posts) + number
    wait_for(lambda: len(server.posts) >= wanted, what="posts")


def assert_each_once_in_order(agent: Agent, server: PattooServer, host: Host) -> None:
    """Assert that each poll arrived once, in order, and the ledger balances."""
    arrived, status = server.timestamps(), agent.status()
    assert_unbroken(arrived, 100, host.assert_none_missed(status))
    assert status["polls"]["dropped"] == {}
    assert status["polls"]["unaccounted"] == 0


def gpg_processes(home: Path) -> list[str]:
    """Return the command lines of an agent's gpg processes. Zombies have none and are skipped."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(
            FileNotFoundError, ProcessLookupError
        ):  # the process has just ended
            lines.append(path.read_bytes())
    ours = os.fsencode(home / "daemon")
    return [line.decode() for line in lines if b"gpg" in line and ours in line]


def test_polls_are_delivered_once_in_order_when_sessions_are_lost(
    make_agent: MakeAgent, decrypting: DecryptingServer, keyrings: Keyrings, host: Host
) -> None:
    """The server forgets sessions, goes away and returns. Nothing secret is logged."""
    agent = make_agent(port=decrypting.port, log_level="debug")
    keys = give_keys(agent, keyrings)
    set_encrypted(agent, "true")
    agent.start()
    wait_for_posts(decrypting, 1)
    assert decrypting.count("POST validation") == 1
    decrypting.sessions.clear()
    wait_for_posts(decrypting, 1)
    decrypting.down()
    wait_for(lambda: agent.status()["posts"]["failing_since_ms"], what="a failure")
    decrypting.sessions.clear()
    decrypting.up()
    wait_for_posts(decrypting, 1)
    assert_each_once_in_order(agent, decrypting, host)
    agent.stop()
    assert ("POST encrypted", 208) in decrypting.asked
    wait_for(lambda: not gpg_processes(agent.home), what="the end of all gpg processes")
    (file,) = keys.glob(f"*-{AGENT_ID}")
    for session in decrypting.sessions.values():
        assert session.pass_phrase not in agent.log
        assert session.nonce not in agent.log
    assert file.read_text() not in agent.log
    assert "gnupg" not in agent.log
    assert AGENT_ID not in agent.log


def test_a_reload_turns_encryption_on_and_off(
    make_agent: MakeAgent,
    decrypting: DecryptingServer,
    server: PattooServer,
    keyrings: Keyrings,
    host: Host,
) -> None:
    """No tick is missed, and posts go to the right server each time."""
    agent = make_agent(port=server.port)
    give_keys(agent, keyrings)
    agent.start()
    wait_for_posts(server, 1)
    shared = (agent.configuration / "pattoo.yaml").read_text()
    agent.write("pattoo.yaml", shared.replace(f"{server.port}", f"{decrypting.port}"))
    set_encrypted(agent, "true")
    assert "encrypted" in agent.run("--reload").stdout
    wait_for_posts(decrypting, 1)
    agent.write("pattoo.yaml", shared)
    set_encrypted(agent, "false")
    assert agent.run("--reload").returncode == 0
    wait_for_posts(server, 1)
    assert min(server.posts[-1].timestamps()) > max(decrypting.timestamps())
    host.assert_none_missed(agent.status())


def test_a_killed_agent_leaves_no_gpg_process_behind(
    make_agent: MakeAgent, decrypting: DecryptingServer, keyrings: Keyrings
) -> None:
    """All its processes get SIGKILL in the middle of a handshake."""
    agent = make_agent(port=decrypting.port)
    give_keys(agent, keyrings)
    set_encrypted(agent, "true")
    with decrypting.lock:  # the server is slow to answer
        agent.start()
        wait_for(lambda: gpg_processes(agent.home), what="a gpg-agent")
        os.killpg(agent.pid or 0, signal.SIGKILL)
        wait_for(lambda: not agent.processes(), what="the end of all processes")
    # gpg-agent ends by itself once its client is gone. Only root sees it among the processes above.
    wait_for(lambda: not gpg_processes(agent.home), what="the end of gpg-agent")


def test_a_missing_gpg_is_reported_before_anything_starts(
    make_agent: MakeAgent, home: Path
) -> None:
    """By a start, a reload, --check and --doctor. It is not needed without encryption."""
    agent = make_agent(environment={"PATH": str(home)})
    set_encrypted(agent, "true")
    expected = (
        f"{agent.configuration}/{NAME}.yaml: {NAME}: encrypted: True, but there is no gpg in PATH; "
        f"expected GnuPG (the package gnupg of most systems)"
    )
    for verb in ("--start", "--check"):
        done = agent.run(verb)
        assert done.returncode == 2
        assert expected in done.stderr
    doctor = agent.run("--doctor")
    assert doctor.returncode == 1
    assert "bad   gpg                       there is no gpg in PATH" in doctor.stdout
    set_encrypted(agent, "false")
    assert "gpg" not in agent.run("--check").stderr
    agent.start()
    set_encrypted(agent, "true")
    done = agent.run("--reload")
    assert done.returncode == 2
    assert expected in done.stderr
