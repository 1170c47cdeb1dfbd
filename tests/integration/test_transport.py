"""The real agent and servers that speak TLS."""

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
    """A CA with its files where the agent's are."""
    return Authority(home)


@pytest.fixture
def secure(authority: Authority) -> Iterator[PattooServer]:
    """A server that speaks TLS."""
    running = PattooServer(authority.server())
    yield running
    running.close()


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    """A proxy that wants credentials."""
    running = ForwardProxy(accepts=basic(f"agent:{PROXY_SECRET}"))
    yield running
    running.close()


def configure(agent: Agent, server: PattooServer, **settings: object) -> None:
    """Have it post to `server` with TLS."""
    lines = [f"{name}: {value}" for name, value in settings.items()]
    lines += ["polling_interval: 0.1", f"servers: ['https://127.0.0.1:{server.port}']"]
    agent.write(f"{NAME}.yaml", "\n  ".join([f"{NAME}:", *lines]) + "\n")


def reload(agent: Agent) -> None:
    """Have it go by its files."""
    done = agent.run("--reload")
    assert (done.returncode, done.stderr) == (0, "")


def wait_for_error(agent: Agent, words: str) -> None:
    """Wait until its status tells of this."""
    wait_for(lambda: words in agent.status()["posts"]["last_error"], what=words)


def wait_for_polls(agent: Agent, count: int) -> None:
    """Wait until so many more are made."""
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["polled"] >= polled + count, what="more polls")


def assert_all_arrive(agent: Agent, *servers: PattooServer) -> None:
    """Assert that each poll so far is at one of the servers, once, and that the account closes.

    Each server has its own in order. What a busy machine made the agent miss was never polled.
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
        assert server.timestamps() == sorted(server.timestamps())
    polls = status["polls"]
    assert (polls["unaccounted"], polls["quarantined"], polls["dropped"]) == (0, 0, {})


def speaks_tls(agent: Agent) -> bool:
    """Whether its uploader has loaded OpenSSL."""
    maps = Path(f"/proc/{agent.worker('uploader')}/maps").read_text()
    return "libssl" in maps or "_ssl." in maps


def test_nothing_is_lost_while_a_server_is_not_trusted(
    make_agent: MakeAgent, secure: PattooServer, authority: Authority, home: Path
) -> None:
    """Status and --check say what to do; when that is done and reloaded, all polls arrive."""
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
    """A restart finds it renewed, and all polls arrive."""
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


def test_a_reload_leads_from_plain_http_to_tls(
    make_agent: MakeAgent, server: PattooServer, secure: PattooServer, authority: Authority
) -> None:
    """Another uploader has it, since the first one never loaded OpenSSL; no poll is lost."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: server.posts, what="a post")
    before = agent.worker("uploader")
    assert not speaks_tls(agent)
    configure(agent, secure, tls_ca_file=authority.file)
    reload(agent)
    wait_for(lambda: secure.posts, what="a post with TLS")
    assert agent.worker("uploader") != before
    assert speaks_tls(agent)
    assert_all_arrive(agent, server, secure)


def test_a_reload_with_a_bad_file_is_refused(
    make_agent: MakeAgent, secure: PattooServer, authority: Authority, home: Path
) -> None:
    """In a line; the agent goes on with what it has. So is a start."""
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


def told(agent: Agent, *verbs: str) -> str:
    """All that the agent shows: its log, its titles, and what these verbs print."""
    titles = [Path(f"/proc/{pid}/cmdline").read_text() for pid in agent.processes()]
    done = [agent.run(*verb.split()) for verb in verbs]
    return "\n".join([agent.log, *titles, *(one.stdout + one.stderr for one in done)])


def assert_no_secret(words: str) -> None:
    """Assert that none stands there, in whatever form it was sent."""
    assert [secret for secret in SECRETS if secret in words] == []


def echo(handler: Handler) -> bool:
    """Give back what was sent, as a server does that is debugged, and take nothing."""
    handler.answer(404, str(handler.headers).encode())
    return False


def wanting_token(handler: Handler) -> bool:
    """Take posts with the token."""
    if handler.headers["Authorization"] == f"Bearer {TOKEN}":
        return True
    handler.answer(401, str(handler.headers).encode())
    return False


@pytest.mark.timeout(150)
def test_no_secret_is_told_to_anybody(
    make_agent: MakeAgent,
    secure: PattooServer,
    authority: Authority,
    proxy: ForwardProxy,
    home: Path,
) -> None:
    """Whether all is well, or refused, or configured wrongly; and the polls arrive by the proxy."""
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
    assert_no_secret(told(agent, "--check", "--status", "--status --json", "--doctor"))

    configure(agent, secure, **{**files, "credentials_file": TOKEN, "proxy": named})
    lines = agent.run("--reload").stderr
    assert "credentials_file: (not shown); expected the absolute path of a file" in lines
    assert "proxy: '…@127.0.0.1:" in lines
    assert_no_secret(told(agent, "--reload", "--check", "--check --json"))

    secure.behaviour = wanting_token
    configure(agent, secure, **files, proxy=f"http://127.0.0.1:{proxy.port}")
    reload(agent)
    wait_for_error(agent, "see proxy_credentials_file")
    configure(agent, secure, **files)
    reload(agent)
    assert_all_arrive(agent, secure)
    assert len(proxy.lines) > 1
    assert_no_secret(told(agent, "--status"))


def test_polls_go_over_to_another_server_and_come_back(
    make_agent: MakeAgent, server: PattooServer, elsewhere: PattooServer
) -> None:
    """Each poll is at one of them, either has its own in order, and the account closes."""
    agent = make_agent()
    both = [f"http://127.0.0.1:{one.port}" for one in (server, elsewhere)]
    settings = f"servers: {both}\n  failover_after: 1\n  polling_interval: 0.1\n"
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  {settings}")
    agent.start()
    wait_for(server.timestamps, what="a poll")
    server.down()
    wait_for(elsewhere.timestamps, what="a poll at the other one")
    # It is there before the agent has told itself so.
    wait_for(lambda: agent.status()["posts"]["instead_of"].startswith(both[0]), what="the word")
    assert f", instead of {both[0]}/" in agent.run("--status").stdout
    before = len(server.timestamps())
    server.up()
    wait_for(lambda: len(server.timestamps()) > before, what="the way back")
    assert_all_arrive(agent, server, elsewhere)
    wait_for(lambda: agent.status()["posts"]["instead_of"] == "", what="the word for that")
