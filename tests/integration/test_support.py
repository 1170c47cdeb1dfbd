"""`--support`: what is in the archive and what is not, and how it is written."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.secrets import basic
from pattoo_mp.program import HUB, PROGRAMS
from tests.support.disks import small
from tests.support.fuse import on_fuse
from tests.support.terminal import Terminal
from tests.support.unprivileged import BY_NOBODY, NOBODY, run_by_nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pattoo_mp.program import Program
    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]

FILES = {
    "README.txt", "versions.txt", "versions.json", "check.txt", "check.json", "status.txt", "status.json",
    "doctor.txt", "doctor.json", "log.txt", "sizes.txt", "sizes.json", "parts.json",
}  # fmt: skip


def contents(archive: Path) -> dict[str, str]:
    """Return the files in an archive by name."""
    found = {}
    with tarfile.open(archive) as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            assert file is not None
            found[entry.name.partition("/")[2]] = file.read().decode()
    return found


def archive_of(agent: Agent, name: str = "archive.tar.gz") -> dict[str, str]:
    """Make an archive, and return the files in it."""
    path = agent.home / name
    done = agent.run("--support", "--yes", "--to", str(path))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return contents(path)


def failures(found: dict[str, str]) -> dict[str, str]:
    """Return why parts could not be made."""
    return {
        one["part"]: one["failure"] for one in json.loads(found["parts.json"]) if one["failure"]
    }


def log_of(agent: Agent) -> Path:
    """Return the path of the agent's log, in a directory that exists."""
    path = agent.home / "log" / agent.program.log_name
    path.parent.mkdir(exist_ok=True)
    return path


def assert_hidden(found: dict[str, str], secrets: Iterable[str]) -> None:
    """Assert that no file has a secret."""
    assert [
        (name, secret) for name, text in found.items() for secret in secrets if secret in text
    ] == []


def test_the_archive_has_all_parts_of_a_running_agent(make_agent: MakeAgent) -> None:
    """As text, and as JSON that parses; each is named in the README. The agent goes on."""
    agent = make_agent()
    agent.start()
    found = archive_of(agent)
    assert found.keys() == FILES
    assert failures(found) == {}
    assert all(json.loads(text) for name, text in found.items() if name.endswith(".json"))
    assert all(name in found["README.txt"] for name in FILES - {"README.txt"})
    assert "Daemon is running" in found["status.txt"]
    assert "Started the collector" in found["log.txt"]
    assert "spool.sqlite" in found["sizes.txt"]
    assert (
        "inodes free" in found["sizes.txt"]
    )  # not: inodes, of which nobody knows how many are left
    assert agent.pid


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.short)
def test_every_program_has_it_when_it_does_not_run(make_agent: MakeAgent, program: Program) -> None:
    """Without a log yet, which is told in the archive and on the screen."""
    agent = make_agent(program=program, interval=10)
    done = agent.run("--support", "--yes", "--to", str(agent.home))
    assert done.returncode == 0, done.stderr
    (archive,) = agent.home.glob(f"{program.name}-support-*.tar.gz")
    found = contents(archive)
    assert "Daemon is stopped" in found["status.txt"]
    assert list(failures(found)) == ["log"]
    assert "No such file or directory" in done.stdout
    assert "It could not be made: " in found["README.txt"]


#: One for each place: recognised wherever it turns up.
SECRETS = {
    name: f"s3cr3t-{name}"
    for name in (
        "credentials", "proxypass", "token", "header", "urlpass", "query", "variable", "proxyvariable", "setting",
        "logpass", "logtoken", "othersetting", "typo", "target",
    )
}  # fmt: skip


def with_secrets(agent: Agent) -> None:
    """Put secrets wherever a configuration, the environment and a log may have them."""

    def secret_file(name: str, line: str) -> Path:
        path = agent.home / name
        path.write_text(f"{line}\n")
        path.chmod(0o600)
        return path

    name = agent.name
    agent.write(
        f"{name}.yaml",
        f"""{name}:
  credentials_file: {secret_file("credentials", f"user:{SECRETS['credentials']}")}
  proxy: http://proxy.example.org:3128
  proxy_credentials_file: {secret_file("proxy", f"user:{SECRETS['proxypass']}")}
  outputs:
  - kind: pattoo
  - kind: remote_write
    url: https://metrics.example.org/write
    headers: {{X-Scope: {SECRETS["header"]}}}
  - kind: pull
    listen: 127.0.0.1:9
    tokens_file: {secret_file("tokens", SECRETS["token"])}
""",
    )
    with (agent.configuration / "pattoo.yaml").open("a") as shared:
        shared.write(f"pattoo_db:\n  db_password: {SECRETS['othersetting']}\n")
    agent.environment |= {
        "DB_PASSWORD": SECRETS["variable"],
        "http_proxy": f"http://u:{SECRETS['proxyvariable']}@proxy.example.org:1",
        "BACKUP_TOKEN": SECRETS["setting"],
        "PATTOO_AGENT_COMMANDS": json.dumps(
            [
                {
                    "name": "x",
                    "command": ["/usr/bin/true"],
                    "environment": {"ANY": SECRETS["setting"]},
                }
            ]
        ),
    }
    lines = [f"has {secret} in it" for secret in SECRETS.values() if "log" not in secret]
    lines = [
        line
        for line in lines
        if not any(word in line for word in ("urlpass", "query", "typo", "target"))
    ]
    lines += [
        f"http://user:{SECRETS['urlpass']}@web.example.org/ and https://x.example.org/?key={SECRETS['query']}",
        f"{basic('user:' + SECRETS['credentials'])}",
        f"Authorization: Bearer {SECRETS['logtoken']}",
        f"password='{SECRETS['logpass']}'",
        json.dumps({"message": f"X-Api-Key: {SECRETS['logtoken']}", "token": SECRETS["logtoken"]}),
    ]
    log_of(agent).write_text(
        "".join(f"2026-11-24 03:12:09,481 INFO [x 1] {line}\n" for line in lines)
    )


def test_no_secret_of_a_setting_a_variable_or_the_log_is_in_it(make_agent: MakeAgent) -> None:
    """Nor in another form. All parts are there."""
    agent = make_agent()
    with_secrets(agent)
    found = archive_of(agent)
    assert failures(found) == {}
    assert_hidden(found, SECRETS.values())
    assert_hidden(found, [basic(f"user:{SECRETS['credentials']}").split()[1]])
    assert found["log.txt"].count("\n") > 10
    assert "credentials_file" in found["check.txt"]


def test_no_secret_of_an_invalid_configuration_is_in_it(make_agent: MakeAgent) -> None:
    """Nor in the messages about it: secrets where a path or a URL belongs, and in names."""
    agent = make_agent()
    agent.write(
        f"{agent.name}.yaml",
        f"""{agent.name}:
  credentials_file: {SECRETS["credentials"]}
  proxy_credentials_file: u:{SECRETS["proxypass"]}
  proxy: http://u:{SECRETS["urlpass"]}@proxy.example.org:3128
  servers: ['https://u:{SECRETS["urlpass"]}@web.example.org/?{SECRETS["query"]}']
  outputs:
  - kind: remote_write
    url: https://x.example.org/w?token={SECRETS["query"]}
    headers: {{'X-Api-Key:{SECRETS["typo"]}': , X-Other: {SECRETS["header"]}}}
    tokens_file: {SECRETS["token"]}
  password: {SECRETS["setting"]}
""",
    )
    log_of(agent).write_text("".join(f"has {secret}\n" for secret in SECRETS.values()))
    agent.environment["SECRET"] = " ".join(SECRETS.values())
    found = archive_of(agent)
    shown = [
        SECRETS[name]
        for name in (
            "credentials",
            "proxypass",
            "urlpass",
            "query",
            "typo",
            "header",
            "token",
            "setting",
        )
    ]
    assert_hidden(found, shown)
    assert "Problem: " in found["check.txt"]
    assert list(failures(found)) == ["doctor"]


def test_no_secret_in_place_of_a_path_in_a_variable_is_in_it(make_agent: MakeAgent) -> None:
    """The variable overrides a setting, and is refused."""
    agent = make_agent()
    log_of(agent).write_text(f"has {SECRETS['setting']}\n")
    agent.environment["PATTOO_AGENT_CREDENTIALS_FILE"] = SECRETS["setting"]
    found = archive_of(agent)
    assert_hidden(found, [SECRETS["setting"]])
    assert "Problem: PATTOO_AGENT_CREDENTIALS_FILE: (not shown)" in found["check.txt"]
    assert list(failures(found)) == ["doctor"]


def test_no_token_of_a_hubs_target_is_in_it(make_agent: MakeAgent) -> None:
    """Nor the address of a spoke; its log says `host-1`, the same each time."""
    agent = make_agent(program=HUB, interval=10)
    token = agent.home / "token"
    token.write_text(f"{SECRETS['target']}\n")
    token.chmod(0o600)
    agent.write(
        f"{HUB.name}.yaml",
        f"{HUB.name}:\n  ip_targets:\n  - {{ip_address: 127.0.0.1, ip_bind_port: 9, token_file: {token}}}\n"
        f"  - {{ip_address: spoke7.example.org, ip_bind_port: 9, name: core-7}}\n",
    )
    log_of(agent).write_text(
        f"spoke7.example.org:9 refuses {SECRETS['target']}; spoke7.example.org\n"
    )
    found = archive_of(agent)
    assert_hidden(found, [SECRETS["target"], "spoke7", "core-7"])
    assert found["log.txt"] == "host-1:9 refuses (not shown); host-1\n"


def test_the_names_of_hosts_are_hidden(make_agent: MakeAgent) -> None:
    """Of this host and of servers, but not where the same letters are part of a word."""
    agent = make_agent()
    agent.set_own("hostname", "web1.example.org")
    agent.set_own("servers", "['https://metrics.example.org']")
    log_of(agent).write_text("web1 asks metrics.example.org. web123 and /srv/web1.d stay\n")
    found = archive_of(agent)
    assert found["log.txt"] == "this-host asks host-1. web123 and /srv/web1.d stay\n"
    assert_hidden(found, ["web1.example.org", "metrics.example.org"])


def test_it_asks_on_a_terminal_and_writes_nothing_without_yes(make_agent: MakeAgent) -> None:
    """What is in it is listed before, with sizes."""
    agent = make_agent()
    archive = agent.home / "archive.tar.gz"
    command = [*agent.command, "--support", "--to", str(archive)]
    with Terminal(command, agent.env()) as terminal:
        terminal.wait_for("[y/N]")
        assert "versions.txt" in terminal.text
        assert not archive.exists()
        terminal.type("\r")
        assert terminal.end() == 1
    assert not archive.exists()
    with Terminal(command, agent.env()) as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("y\r")
        assert terminal.end() == 0
    assert contents(archive)


def test_without_a_terminal_it_needs_yes(make_agent: MakeAgent) -> None:
    """The list is printed all the same."""
    agent = make_agent()
    done = subprocess.run(
        [*agent.command, "--support"], env=agent.env(), cwd=agent.home, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "expected --yes to write the archive" in done.stderr
    assert "versions.txt" in done.stdout
    assert list(agent.home.glob("*.gz")) == []


def test_it_overwrites_nothing_and_follows_no_link(make_agent: MakeAgent) -> None:
    """Neither a file nor the target of a link."""
    agent = make_agent()
    archive = agent.home / "archive"
    archive.write_text("mine")
    (agent.home / "link").symlink_to(agent.home / "nothing")
    for name in ("archive", "link"):
        done = agent.run("--support", "--yes", "--to", str(agent.home / name))
        assert done.returncode == 1
        assert "exists; expected a new name" in done.stderr
    assert archive.read_text() == "mine"
    assert not (agent.home / "nothing").exists()


def test_it_can_be_written_to_a_pipe(make_agent: MakeAgent) -> None:
    """From a container, which may have no place for it; the list goes to stderr."""
    agent = make_agent()
    done = subprocess.run(
        [*agent.command, "--support", "--to", "-"], env=agent.env(), capture_output=True, check=True
    )
    path = agent.home / "piped.tar.gz"
    path.write_bytes(done.stdout)
    assert contents(path).keys() >= {"README.txt", "check.txt"}
    assert b"versions.txt" in done.stderr


def test_a_configuration_that_cannot_be_parsed_is_told(make_agent: MakeAgent) -> None:
    """Its secrets are not in the archive, and what does not need it is there."""
    agent = make_agent()
    agent.write("pattoo.yaml", f"pattoo:\n  api_token: {SECRETS['setting']}\n   bad: [\n")
    found = archive_of(agent)
    assert "line 3" in found["check.txt"]
    assert "Debian" in found["versions.txt"] or "distribution" in found["versions.txt"]
    assert failures(found).keys() == {"status", "doctor", "log"}
    assert_hidden(found, [SECRETS["setting"]])


def test_without_a_configuration_there_are_versions(make_agent: MakeAgent) -> None:
    """And each other part says why it is missing."""
    agent = make_agent()
    agent.environment["PATTOO_CONFIGDIR"] = str(agent.home / "missing")
    found = archive_of(agent)
    assert "pattoo_mp" in found["versions.txt"]
    assert "no such directory" in failures(found)["check"]


def test_a_part_that_hangs_is_told_and_the_rest_is_there(make_agent: MakeAgent) -> None:
    """Here an older log, on a file server that does not answer; its reader cannot be killed."""
    agent = make_agent()
    log_of(agent).write_text("one\n")
    path = log_of(agent).with_name("pattoo.log.1")
    path.write_text("older\n")
    with on_fuse(str(path)) as stage:
        agent.command = [*stage.command, *agent.command]
        stage.hang(str(path))
        found = archive_of(agent)
    assert failures(found) == {"log": "no answer within 10 s", "sizes": "no answer within 8 s"}
    assert {"check.txt", "doctor.txt", "versions.txt"} <= found.keys()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_a_full_disk_is_told_in_one_line(make_agent: MakeAgent, home: Path) -> None:
    """Nothing of the archive is left there."""
    agent = make_agent()
    with small(home / "disk") as disk:
        filling = ["dd", "if=/dev/zero", f"of={disk}/filler", "bs=4k"]
        subprocess.run(filling, capture_output=True, check=False)
        done = agent.run("--support", "--yes", "--to", str(disk))
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert done.stderr.count("\n") == 1
        assert [path.name for path in disk.iterdir() if "support" in path.name] == []


def test_another_user_gets_what_it_may_see(make_agent: MakeAgent) -> None:
    """Its archive has the configuration, and says what it could not read."""
    agent = make_agent()
    agent.home.chmod(0o755)
    (agent.home / "out").mkdir()
    (agent.home / "out").chmod(0o777)
    log_of(agent).write_text("one\n")
    log_of(agent).chmod(0o600)
    if os.geteuid() == 0:
        run_by_nobody(agent)
    else:
        log_of(agent).chmod(0)
    found = archive_of(agent, "out/archive.tar.gz")
    assert "Permission denied" in failures(found)["log"]
    assert "log_directory" in found["check.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_root_gets_what_the_agents_user_would(make_agent: MakeAgent) -> None:
    """Root may not use directories of another user, so it would find problems that the agent does not have."""
    agent = make_agent()
    run_by_nobody(agent)
    agent.home.chmod(0o755)
    for name in ("log", "cache", "daemon", "run"):
        (agent.home / name).mkdir(exist_ok=True)
        os.chown(agent.home / name, NOBODY, NOBODY)
    agent.start()
    agent.command = agent.command[len(BY_NOBODY) :]  # from now on as root
    found = archive_of(agent)
    assert "other users can change" not in found["check.txt"]
    assert failures(found) == {}
