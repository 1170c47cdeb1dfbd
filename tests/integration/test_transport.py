"""The real agent with TLS, credentials, proxies and several servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.secrets import basic
from tests.support.agent import NAME
from tests.support.proxy import ForwardProxy
from tests.support.server import PattooServer
from tests.support.tls import Authority
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.agent import Agent
    from tests.support.server import Handler

    MakeAgent = Callable[..., Agent]

TOKEN = "s3cret-t0ken"
PROXY_SECRET = "pr0xy-s3cret"
SECRETS = (TOKEN, PROXY_SECRET, basic(f"agent:{PROXY_SECRET}").split()[1])


@pytest.fixture
def authority(home: Path) -> Authority:
    """A CA, with its files beside the agent's."""
    return Authority(home)


@pytest.fixture
def secure(authority: Authority) -> Iterator[PattooServer]:
    """A server with TLS."""
    running = PattooServer(authority.server())
    yield running
    running.close()


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    """A proxy that requires credentials."""
    running = ForwardProxy(accepts=basic(f"agent:{PROXY_SECRET}"))
    yield running
    running.close()


def configure(agent: Agent, server: PattooServer, **settings: object) -> None:
    """Make the agent post to `server` with TLS."""
    lines = [f"{name}: {value}" for name, value in settings.items()]
    lines += ["polling_interval: 0.1", f"servers: ['https://127.0.0.1:{server.port}']"]
    agent.write(f"{NAME}.yaml", "\n  ".join([f"{NAME}:", *lines]) + "\n")


def reload(agent: Agent) -> None:
    """Reload the agent's files."""
    done = agent.run("--reload")
    assert (done.returncode, done.stderr) == (0, "")


def wait_for_error(agent: Agent, words: str) -> None:
    """Wait until its status shows this error."""
    wait_for(lambda: words in agent.status()["posts"]["last_error"], what=words)


def wait_for_polls(agent: Agent, count: int) -> None:
    """Wait until so many more polls were made."""
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["polled"] >= polled + count, what="more polls")


def assert_all_arrive(agent: Agent, *servers: PattooServer) -> None:
    """Assert that each poll so far is at one of the servers, once, and that the ledger balances.

    Each server has its polls in order. Ticks that a busy machine made the agent miss do not count.
    """
    polled = agent.status()["polls"]["polled"]

    def arrived() -> list[int]:
        return sorted(time for server in servers for time in server.timestamps())

    wait_for(lambda: len(arrived()) >= polled, what="the arrival of all polls")
    times, status = arrived(), agent.status()
    ticks = (times[-1] - times[0]) // 100 + 1
    assert len(times) == len(set(times))
    assert ticks - len(times) <= sum(status["missed"].values())
    for server in servers:
        own = server.timestamps()  # once: polls keep arriving
        assert own == sorted(own)
    polls = status["polls"]
    assert (polls["unaccounted"], polls["quarantined"], polls["dropped"]) == (0, 0, {})


def has_loaded_openssl(agent: Agent) -> bool:
    """Return whether the uploader has loaded OpenSSL."""
    maps = Path(f"/proc/{agent.worker('uploader')}/maps").read_text()
    return "libssl" in maps or "_ssl." in maps


def test_nothing_is_lost_while_a_server_is_not_trusted(
    make_agent: MakeAgent, secure: PattooServer, authority: Authority, home: Path
) -> None:
    """Status and --check have advice. After the fix and a reload, all polls arrive."""
    agent = make_agent()
    configure(agent, secure, tls_ca_file=Authority(home, "stranger").file)
    agent.start()
    advice = "name that CA's file in tls_ca_file"
    wait_for_error(agent, advice)
    checked = agent.run("--check")
    assert (checked.returncode, advice in checked.stderr) == (1, True)
    wait_for_polls(agent, 5)
    assert secure.attempts == 0
    configure(agent, secure, tls_ca_file=authority.file)
    reload(agent)
    assert_all_arrive(agent, secure)
    assert agent.run("--check").returncode == 0


def test_nothing_is_lost_while_a_certificate_has_expired(
    make_agent: MakeAgent, secure: PattooServer, authority: Authority
) -> None:
    """After a restart with a new certificate, all polls arrive."""
    secure.context = authority.expired()
    agent = make_agent()
    configure(agent, secure, tls_ca_file=authority.file)
    agent.start()
    wait_for_error(agent, "the server's certificate has expired")
    wait_for_polls(agent, 5)
    agent.stop()
    assert secure.attempts == 0
    secure.context = authority.server()
    agent.start()
    wait_for(lambda: agent.status()["polls"]["delivered"] >= 5, what="deliveries")
    assert secure.timestamps() == sorted(set(secure.timestamps()))
    assert agent.status()["polls"]["unaccounted"] == 0


def test_a_reload_changes_from_plain_http_to_tls(
    make_agent: MakeAgent, server: PattooServer, secure: PattooServer, authority: Authority
) -> None:
    """A new uploader takes over, since the old one has not loaded OpenSSL. No poll is lost."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: server.posts, what="a post")
    before = agent.worker("uploader")
    assert not has_loaded_openssl(agent)
    configure(agent, secure, tls_ca_file=authority.file)
    reload(agent)
    wait_for(lambda: secure.posts, what="a post with TLS")
    assert agent.worker("uploader") != before
    assert has_loaded_openssl(agent)
    assert_all_arrive(agent, server, secure)


def test_a_reload_with_a_bad_file_is_refused(
    make_agent: MakeAgent, secure: PattooServer, authority: Authority, home: Path
) -> None:
    """One line reports it, and the agent keeps its settings. A start is refused, too."""
    agent = make_agent()
    configure(agent, secure, tls_ca_file=authority.file)
    agent.start()
    bad = home / "bad.pem"
    bad.write_text("no")
    configure(agent, secure, tls_ca_file=bad)
    line = (
        f"{agent.configuration}/{NAME}.yaml: {NAME}: tls_ca_file: '{bad}' has invalid content; "
        f"expected CA certificates in PEM"
    )
    done = agent.run("--reload")
    assert (done.returncode, line in done.stderr) == (2, True)
    checked = agent.run("--check")
    assert (checked.returncode, line in checked.stderr) == (2, True)
    assert_all_arrive(agent, secure)
    agent.stop()
    started = agent.run("--start")
    assert (started.returncode, line in started.stderr) == (2, True)


def all_output(agent: Agent, *verbs: str) -> str:
    """Return everything that the agent shows: its log, its titles, and the output of these verbs."""
    titles = [Path(f"/proc/{pid}/cmdline").read_text() for pid in agent.processes()]
    done = [agent.run(*verb.split()) for verb in verbs]
    return "\n".join([agent.log, *titles, *(one.stdout + one.stderr for one in done)])


def assert_no_secret(words: str) -> None:
    """Assert that the output contains no secret, in any form in which it was sent."""
    assert [secret for secret in SECRETS if secret in words] == []


def echo(handler: Handler) -> bool:
    """Return the request in the answer, as a server in debug mode does, and take no post."""
    handler.answer(404, str(handler.headers).encode())
    return False


def wanting_token(handler: Handler) -> bool:
    """Take posts that have the token."""
    if handler.headers["Authorization"] == f"Bearer {TOKEN}":
        return True
    handler.answer(401, str(handler.headers).encode())
    return False


@pytest.mark.timeout(150)
def test_no_secret_appears_in_any_output(
    make_agent: MakeAgent,
    secure: PattooServer,
    authority: Authority,
    proxy: ForwardProxy,
    home: Path,
) -> None:
    """With valid, refused and wrong credentials. Polls arrive through the proxy."""
    named = f"http://agent:{PROXY_SECRET}@127.0.0.1:{proxy.port}"
    agent = make_agent(log_level="debug", environment={"https_proxy": named})
    path = home / "token"
    path.touch(mode=0o600)
    path.write_text(f"{TOKEN}\n")
    files = {"tls_ca_file": authority.file, "credentials_file": path}
    secure.behaviour = secure.status_page = echo
    configure(agent, secure, **files)
    agent.start()
    wait_for_error(agent, "status 404 Not Found, not quoted")
    assert_no_secret(all_output(agent, "--check", "--status", "--status --json", "--doctor"))

    configure(agent, secure, **{**files, "credentials_file": TOKEN, "proxy": named})
    lines = agent.run("--reload").stderr
    assert "credentials_file: (not shown); expected the absolute path of a file" in lines
    assert "proxy: '…@127.0.0.1:" in lines
    assert_no_secret(all_output(agent, "--reload", "--check", "--check --json"))

    secure.behaviour = wanting_token
    configure(agent, secure, **files, proxy=f"http://127.0.0.1:{proxy.port}")
    reload(agent)
    wait_for_error(agent, "see proxy_credentials_file")
    configure(agent, secure, **files)
    reload(agent)
    assert_all_arrive(agent, secure)
    assert len(proxy.lines) > 1
    assert_no_secret(all_output(agent, "--status"))


def test_polls_fail_over_to_another_server_and_return(
    make_agent: MakeAgent, server: PattooServer, elsewhere: PattooServer
) -> None:
    """Each poll is at one of them, each server has its polls in order, and the ledger balances."""
    agent = make_agent()
    both = [f"http://127.0.0.1:{one.port}" for one in (server, elsewhere)]
    settings = f"servers: {both}\n  failover_after: 1\n  polling_interval: 0.1\n"
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  {settings}")
    agent.start()
    wait_for(server.timestamps, what="a poll")
    server.down()
    wait_for(elsewhere.timestamps, what="a poll at the other one")
    # The poll arrives before the agent has counted it.
    wait_for(lambda: agent.status()["posts"]["instead_of"].startswith(both[0]), what="the word")
    assert f", instead of {both[0]}/" in agent.run("--status").stdout
    before = len(server.timestamps())
    server.up()
    wait_for(lambda: len(server.timestamps()) > before, what="the way back")
    assert_all_arrive(agent, server, elsewhere)
    wait_for(lambda: agent.status()["posts"]["instead_of"] == "", what="the word for that")
