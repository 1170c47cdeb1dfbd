"""Users who are logged in."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pattoo_mp.collect.families import users
from tests.support.hosts import polled

if TYPE_CHECKING:
    import pytest

Session = namedtuple("Session", "name terminal host started pid")


def test_sessions_and_users_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may be logged in twice. No name is sent."""
    names = ("ada", "bob", "ada")
    monkeypatch.setattr(users, "_UTMP", tmp_path / "utmp")
    (tmp_path / "utmp").write_bytes(b"records")
    monkeypatch.setattr(psutil, "users", lambda: [Session(n, "tty1", "", 0, 1) for n in names])
    assert polled("users").figures == {"users_sessions": 3, "users_logged_in": 2}


def test_a_host_without_users_sends_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 is a value, not an error: there are records, and nobody is logged in."""
    monkeypatch.setattr(psutil, "users", list)
    monkeypatch.setattr(users, "_UTMP", tmp_path / "utmp")
    (tmp_path / "utmp").write_bytes(b"the record of the boot")
    poll = polled("users")
    assert (poll.figures, poll.left_out) == ({"users_sessions": 0, "users_logged_in": 0}, {})


def test_a_host_without_records_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nobody is logged in is not known there. The note has the reason."""
    monkeypatch.setattr(psutil, "users", list)
    monkeypatch.setattr(users, "_UTMP", tmp_path / "utmp")
    poll = polled("users")
    assert poll.figures == {}
    assert str(tmp_path / "utmp") in poll.left_out["users"]
    (tmp_path / "utmp").touch()
    poll = polled("users")
    assert poll.figures == {}
    assert "is empty" in poll.left_out["users"]


def test_records_that_may_not_be_read_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a directory cannot: root may read any file."""
    monkeypatch.setattr(psutil, "users", list)
    monkeypatch.setattr(users, "_UTMP", Path("/"))
    assert list(polled("users").left_out) == ["users"]
