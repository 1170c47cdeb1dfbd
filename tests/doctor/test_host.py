"""Whom the agent runs as."""

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
from pattoo_mp.doctor.host import Name, User, find_name, name_findings
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


def test_whoever_asks_is_the_user_where_nothing_else_is_known(settings: Config) -> None:
    """Before the first start."""
    user = host.agents_user(settings, None)
    assert (user.uid, user.why) == (os.geteuid(), "asks")


@needs_root
def test_the_owner_of_what_the_agent_left_is_its_user(settings: Config) -> None:
    """The identity says it, or else a directory that was made for the agent."""
    settings.daemon_directory.mkdir()
    os.chown(settings.daemon_directory, NOBODY, NOBODY)
    assert host.agents_user(settings, None).uid == NOBODY
    identity = paths.identity_file(settings)
    identity.parent.mkdir()
    identity.write_text("")
    os.chown(identity, 1, 1)
    user = host.agents_user(settings, None)
    assert (user.uid, user.why) == (1, f"owns {identity}")


def test_whoever_runs_it_is_its_user(settings: Config) -> None:
    """Whatever lies in the directories; and a process that is gone says nothing."""
    user = host.agents_user(settings, os.getpid())
    assert (user.uid, user.why) == (os.geteuid(), "runs the agent")
    assert host.agents_user(settings, 2**22 + 1).why == "asks"


@needs_root
@pytest.mark.parametrize("uid", [NOBODY, 54321])
def test_root_can_become_that_user_and_keeps_no_rights(uid: int) -> None:
    """With or without a name; no group of root's stays."""

    def ids() -> str:
        host.become(host.user(uid, uid, "asks"))
        return f"{os.getresuid()} {os.getresgid()} {0 in os.getgroups()}"

    assert in_child(ids) == f"{(uid,) * 3} {(uid,) * 3} False"


def test_who_is_not_root_stays_who_it_is() -> None:
    """It could become nobody else, and is not asked to."""

    def uid() -> str:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        before = os.geteuid()
        host.become(User(before + 1, (1,), "x", ""))
        return str(os.geteuid() == before)

    assert in_child(uid) == "True"


@pytest.mark.parametrize(
    ("who_it_is", "sees", "state", "words"),
    [
        (User(998, (998,), "pattoo", "runs the agent"), True, State.WELL,
         "pattoo, who runs the agent"),
        (User(0, (0,), "root", "asks"), True, State.NOTE, "root, who asks"),
        (User(998, (998,), "pattoo", "owns /x"), False, State.NOTE,
         "you are not the agent's: that is pattoo, who owns /x"),
        (User(1000, (1000,), "joe", "asks"), False, State.NOTE, "you are not the agent's"),
    ],
)  # fmt: skip
def test_root_and_other_eyes_are_noted(
    who_it_is: User, sees: bool, state: State, words: str
) -> None:
    """An agent needs no rights; and what another user sees need not be what it sees."""
    (found,) = host.user_findings(who_it_is, sees=sees)
    assert (found.state, found.found) == (state, words)


@needs_root
def test_what_root_left_makes_nobody_a_stranger(settings: Config) -> None:
    """A directory of root's that the agent's user cannot use is what that user has to be told."""
    settings.daemon_directory.parent.chmod(0o755)
    settings.daemon_directory.mkdir()
    assert as_nobody(lambda: host.agents_user(settings, None).why) == "asks"
    os.chown(settings.daemon_directory, 1, 1)
    assert as_nobody(lambda: str(host.agents_user(settings, None).uid)) == "1"


# Who the host is to the server.


def by_subject(name: Name) -> dict[str, Finding]:
    """The findings."""
    return {finding.subject: finding for finding in name_findings(name)}


def test_an_identity_is_read_and_none_is_made(home: Path) -> None:
    """As a start would find it."""
    path = home / "agent_id" / "x.agent_id"
    assert find_name(path).is_new
    assert list(home.iterdir()) == []
    made = identity.origin(path)
    found = find_name(path)
    assert found.origin == made == Origin(made.agent_id, socket.getfqdn())
    assert by_subject(found)["identity"].found == f"{made.agent_id[:8]}…"


def test_an_identity_that_cannot_be_used_is_trouble(home: Path) -> None:
    """In the words of a start."""
    (home / "x").write_text("not an identity")
    found = by_subject(find_name(home / "x"))["identity"]
    assert found.state is State.TROUBLE
    assert "the identity is 'not an identity'; expected 64 hexadecimal digits" in found.found
    (home / "x").unlink()
    (home / "x").symlink_to(home / "y")
    (home / "y").write_text("a" * 64)
    assert "links are not followed" in by_subject(find_name(home / "x"))["identity"].found


@pytest.mark.parametrize(
    ("hostname", "took_s", "state"),
    [
        ("web1.example.org", 0.001, State.WELL),
        ("localhost", 0.001, State.NOTE),
        ("localhost.localdomain", 0.001, State.NOTE),
        ("web1", 10.0, State.NOTE),
    ],
)
def test_a_host_without_a_name_of_its_own_is_noted(
    hostname: str, took_s: float, state: State
) -> None:
    """And so is a name server that a start would have to wait for."""
    assert by_subject(Name(Origin("a" * 64, hostname), "", took_s))["host name"].state is state


# Mounts that hang.


def test_a_dead_file_server_is_named_though_no_poll_asks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others answer; what would be mounted by the question is not asked."""
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
    """One line for all of them."""
    (found,) = host.mount_findings({"/": True, "/home": True})
    assert (found.state, found.found) == (State.WELL, "2, and all answer")


def test_this_hosts_mounts_are_asked() -> None:
    """Its root at the least."""
    assert host.mount_answers()["/"]


# The host's clock.


def test_the_kernel_says_whether_it_follows_a_time_server() -> None:
    """Yes, no, or nothing; and asking sets nothing, so anybody may."""
    assert host.is_synchronised() in {True, False, None}


@pytest.mark.parametrize(
    ("synchronised", "ahead_s", "told"),
    [
        (True, 0.4, [("clock", State.WELL), ("time server", State.WELL)]),
        (False, None, [("time server", State.NOTE)]),
        (None, -4.9, [("clock", State.WELL)]),
        (None, None, []),
        (True, 90.0, [("clock", State.TROUBLE), ("time server", State.WELL)]),
    ],
)
def test_only_what_is_known_is_told(
    synchronised: bool | None, ahead_s: float | None, told: list[tuple[str, State]]
) -> None:
    """A server whose clock differs is trouble; a few seconds are its answer's."""
    found = host.clock_findings(synchronised, ahead_s)
    assert [(finding.subject, finding.state) for finding in found] == told


@pytest.mark.parametrize(
    ("ahead_s", "words"),
    [(90.0, "90 s behind the server's"), (-86_400 * 3, "3 days ahead of the server's")],
)
def test_it_is_said_which_clock_is_ahead(ahead_s: float, words: str) -> None:
    """From where the reader sits."""
    (found,) = host.clock_findings(None, ahead_s)
    assert found.found == words
