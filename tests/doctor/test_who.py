"""Whom the agent runs as."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import paths
from pattoo_mp.config import load
from pattoo_mp.doctor import host
from pattoo_mp.doctor.finding import State
from pattoo_mp.doctor.host import User
from tests.support.unprivileged import NOBODY, as_nobody, in_child

if TYPE_CHECKING:
    from collections.abc import Callable

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
