"""Check the host: the agent's user, its identity and name, mounts, and the clock."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import identity, paths
from pattoo_mp.config import load
from pattoo_mp.doctor import host
from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.doctor.host import HostIdentity, User, find_identity, identity_findings
from pattoo_mp.model import Origin
from tests.support.procfs import ProcFS
from tests.support.unprivileged import NOBODY, as_nobody, in_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pattoo_mp.config.values import Config
    from tests.support.agent import Agent


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def settings(make_agent: Callable[..., Agent]) -> Config:
    """A configuration whose directories are not made yet."""
    return load.check(make_agent().configuration)


def test_before_the_first_start_the_current_user_counts_as_the_agents(settings: Config) -> None:
    """Neither a process nor files say otherwise."""
    user = host.agent_user(settings, None)
    assert (user.uid, user.why) == (os.geteuid(), "runs this command")


@needs_root
def test_the_owner_of_the_agents_files_is_its_user(settings: Config) -> None:
    """The owner of the identity, or else of a directory that was made for the agent."""
    settings.daemon_directory.mkdir()
    os.chown(settings.daemon_directory, NOBODY, NOBODY)
    assert host.agent_user(settings, None).uid == NOBODY
    identity = paths.identity_file(settings)
    identity.parent.mkdir()
    identity.write_text("")
    os.chown(identity, 1, 1)
    user = host.agent_user(settings, None)
    assert (user.uid, user.why) == (1, f"owns {identity}")


def test_the_user_of_the_process_is_the_agents_user(settings: Config) -> None:
    """The process counts more than the files. One that has ended does not count."""
    user = host.agent_user(settings, os.getpid())
    assert (user.uid, user.why) == (os.geteuid(), "runs the agent")
    assert host.agent_user(settings, 2**22 + 1).why == "runs this command"


@needs_root
@pytest.mark.parametrize("uid", [NOBODY, 54321])
def test_root_switches_to_the_agents_user_and_keeps_no_privileges(uid: int) -> None:
    """The user may have no name. Root's groups are dropped, too."""

    def ids() -> str:
        host.switch_to(host.user(uid, uid, "runs this command"))
        return f"{os.getresuid()} {os.getresgid()} {0 in os.getgroups()}"

    assert in_child(ids) == f"{(uid,) * 3} {(uid,) * 3} False"


def test_a_process_without_privileges_does_not_switch_users() -> None:
    """It could not."""

    def uid() -> str:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        before = os.geteuid()
        host.switch_to(User(before + 1, (1,), "x", ""))
        return str(os.geteuid() == before)

    assert in_child(uid) == "True"


@pytest.mark.parametrize(
    ("user", "has_access", "state", "words"),
    [
        (User(998, (998,), "pattoo", "runs the agent"), True, State.OK,
         "pattoo, who runs the agent"),
        (User(0, (0,), "root", "runs this command"), True, State.NOTE, "root, who runs this command"),
        (User(998, (998,), "pattoo", "owns /x"), False, State.NOTE,
         "you are not the agent's user: that is pattoo, who owns /x"),
        (User(1000, (1000,), "joe", "runs this command"), False, State.NOTE, "you are not the agent's user"),
    ],
)  # fmt: skip
def test_an_agent_of_roots_and_a_check_by_another_user_are_noted(
    user: User, has_access: bool, state: State, words: str
) -> None:
    """An agent needs no privileges. Another user's permissions say nothing about the agent's."""
    (found,) = host.user_findings(user, has_access=has_access)
    assert (found.state, found.found) == (state, words)


@needs_root
def test_directories_of_roots_do_not_make_root_the_agents_user(settings: Config) -> None:
    """They were left by mistake, and the agent's user has to learn of it."""
    settings.daemon_directory.parent.chmod(0o755)
    settings.daemon_directory.mkdir()
    assert as_nobody(lambda: host.agent_user(settings, None).why) == "runs this command"
    os.chown(settings.daemon_directory, 1, 1)
    assert as_nobody(lambda: str(host.agent_user(settings, None).uid)) == "1"


# The agent's identity, and the host's name.


def by_subject(found: HostIdentity) -> dict[str, Finding]:
    """The findings, by subject."""
    return {finding.subject: finding for finding in identity_findings(found)}


def test_an_identity_is_read_but_not_made(home: Path) -> None:
    """Only a start makes one."""
    path = home / "agent_id" / "x.agent_id"
    assert find_identity(path).is_new
    assert list(home.iterdir()) == []
    made = identity.origin(path)
    found = find_identity(path)
    assert found.origin == made == Origin(made.agent_id, socket.getfqdn())
    assert by_subject(found)["identity"].found == f"{made.agent_id[:8]}…"


def test_an_identity_that_cannot_be_used_is_trouble(home: Path) -> None:
    """The finding has the words that a start would use."""
    (home / "x").write_text("not an identity")
    found = by_subject(find_identity(home / "x"))["identity"]
    assert found.state is State.TROUBLE
    assert "the identity is 'not an identity'; expected 64 hexadecimal digits" in found.found
    (home / "x").unlink()
    (home / "x").symlink_to(home / "y")
    (home / "y").write_text("a" * 64)
    assert "links are not followed" in by_subject(find_identity(home / "x"))["identity"].found


def test_a_name_that_was_changed_is_noted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kept name is in force; the advice says how to follow the new one."""
    path = home / "agent.agent_id"
    path.write_text("a" * 64)
    identity.keep_name(path, "web1")
    monkeypatch.setattr(socket, "getfqdn", lambda: "web1.example.org")
    found = by_subject(find_identity(path))["host name"]
    assert find_identity(path).origin.hostname == "web1"
    assert found.found == "web1 is kept; the host is called web1.example.org now"
    assert found.advice.endswith(f"set hostname, or remove {home / 'agent.hostname'} and restart")
    assert by_subject(find_identity(path, "web2"))["host name"].found == "web2"


@pytest.mark.parametrize(
    ("hostname", "took_s", "state"),
    [
        ("web1.example.org", 0.001, State.OK),
        ("localhost", 0.001, State.NOTE),
        ("localhost.localdomain", 0.001, State.NOTE),
        ("web1", 10.0, State.NOTE),
    ],
)
def test_a_host_called_localhost_is_noted(hostname: str, took_s: float, state: State) -> None:
    """So is a name server that a start would have to wait for."""
    assert (
        by_subject(HostIdentity(Origin("a" * 64, hostname), "", took_s))["host name"].state is state
    )


# Mounts that hang.


def test_a_mount_that_hangs_is_named_even_if_polls_skip_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other mounts answer. Automount points are not asked, since asking would mount them."""
    ProcFS(tmp_path / "proc", monkeypatch).write(
        "self/mounts",
        "/dev/sda1 / ext4 rw 0 0\nnas:/x /dead nfs4 rw 0 0\nauto /net autofs rw 0 0\n"
        "tmpfs /nowhere tmpfs rw 0 0\n",
    )
    back = threading.Event()
    asked = []
    statvfs = os.statvfs

    def ask(path: str) -> os.statvfs_result:
        asked.append(path)
        if path == "/dead":
            back.wait(60)
        return statvfs(path)

    monkeypatch.setattr(os, "statvfs", ask)
    answers = host.mount_answers(0.3)
    back.set()
    assert answers == {"/": True, "/dead": False, "/nowhere": True}
    assert "/net" not in asked
    (found,) = host.mount_findings(answers)
    assert (found.state, found.found) == (State.NOTE, "/dead does not answer")


def test_mounts_that_answer_are_counted() -> None:
    """They share one finding."""
    (found,) = host.mount_findings({"/": True, "/home": True})
    assert (found.state, found.found) == (State.OK, "2, all of them answer")


def test_the_root_file_system_of_this_host_answers() -> None:
    """With the real mount table."""
    assert host.mount_answers()["/"]


# The host's clock.


def test_the_kernel_says_whether_its_clock_is_synchronised() -> None:
    """It may also say nothing. Asking needs no privileges."""
    assert host.is_synchronised() in {True, False, None}


@pytest.mark.parametrize(
    ("synchronised", "ahead_s", "expected"),
    [
        (True, 0.4, [("clock", State.OK), ("time server", State.OK)]),
        (False, None, [("time server", State.NOTE)]),
        (None, -4.9, [("clock", State.OK)]),
        (None, None, []),
        (True, 90.0, [("clock", State.TROUBLE), ("time server", State.OK)]),
    ],
)
def test_clock_findings_report_only_what_is_known(
    synchronised: bool | None, ahead_s: float | None, expected: list[tuple[str, State]]
) -> None:
    """A clock that differs from the server's is trouble; a few seconds are allowed for the answer."""
    found = host.clock_findings(synchronised, ahead_s)
    assert [(finding.subject, finding.state) for finding in found] == expected


@pytest.mark.parametrize(
    ("ahead_s", "words"),
    [(90.0, "90 s behind the server's"), (-86_400 * 3, "3 days ahead of the server's")],
)
def test_the_finding_says_which_clock_is_ahead(ahead_s: float, words: str) -> None:
    """Seen from this host."""
    (found,) = host.clock_findings(None, ahead_s)
    assert found.found == words
