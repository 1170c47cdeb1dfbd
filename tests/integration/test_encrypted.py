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
    """An identity, and the keys that go with it."""
    identity = agent.home / "daemon" / "agent_id" / f"{NAME}.agent_id"
    identity.parent.mkdir(parents=True)
    identity.write_text(f"{AGENT_ID}\n")
    keys = agent.home / "daemon" / "keys"
    keys.mkdir()
    return keyrings.of_agent(keys / NAME).directory


def set_encrypted(agent: Agent, encrypted: object) -> None:
    """Turn it on, or off."""
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 0.1\n  encrypted: {encrypted}\n")


def wait_for_posts(server: PattooServer, number: int) -> None:
    """Wait until so many more came."""
    wanted = len(server.posts) + number
    wait_for(lambda: len(server.posts) >= wanted, what="posts")


def assert_each_once_in_order(agent: Agent, server: PattooServer, host: Host) -> None:
    """No poll is missing, none came twice, and the ledger closes."""
    arrived, status = server.timestamps(), agent.status()
    assert_unbroken(arrived, 100, host.assert_none_missed(status))
    assert status["polls"]["dropped"] == {}
    assert status["polls"]["unaccounted"] == 0


def gpg_processes(home: Path) -> list[str]:
    """What runs of gpg for an agent; the dead that nobody waits for have no command line."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ends while we look
            lines.append(path.read_bytes())
    ours = os.fsencode(home / "daemon")
    return [line.decode() for line in lines if b"gpg" in line and ours in line]


def test_polls_are_delivered_once_each_in_order_whatever_becomes_of_sessions(
    make_agent: MakeAgent, decrypting: DecryptingServer, keyrings: Keyrings, host: Host
) -> None:
    """The server forgets, goes away and comes back; the ledger closes, and nothing secret is logged."""
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
    wait_for(lambda: not gpg_processes(agent.home), what="the end of all of gpg")
    (file,) = keys.glob(f"*-{AGENT_ID}")
    for session in decrypting.sessions.values():
        assert session.pass_phrase not in agent.log
        assert session.nonce not in agent.log
    assert file.read_text() not in agent.log
    assert "gnupg" not in agent.log
    assert AGENT_ID not in agent.log


def test_a_reload_turns_it_on_and_off(
    make_agent: MakeAgent,
    decrypting: DecryptingServer,
    server: PattooServer,
    keyrings: Keyrings,
    host: Host,
) -> None:
    """Without a tick missed. What is posted in the clear before and after is not decrypted by anybody."""
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


def test_a_killed_agent_leaves_nothing_of_gpg_behind(
    make_agent: MakeAgent, decrypting: DecryptingServer, keyrings: Keyrings
) -> None:
    """All of it by SIGKILL, in the middle of a handshake."""
    agent = make_agent(port=decrypting.port)
    give_keys(agent, keyrings)
    set_encrypted(agent, "true")
    with decrypting.lock:  # the server is slow to answer
        agent.start()
        wait_for(lambda: gpg_processes(agent.home), what="a gpg-agent")
        os.killpg(agent.pid or 0, signal.SIGKILL)
        wait_for(lambda: not agent.processes(), what="the end of all processes")
    assert gpg_processes(agent.home) == []


def test_a_host_without_gpg_is_told_before_anything_starts(
    make_agent: MakeAgent, home: Path
) -> None:
    """At a start, a reload, by --check and by --doctor; where it is off nobody asks for it."""
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
