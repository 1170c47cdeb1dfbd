"""Users who are logged in."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING

import psutil

from tests.support.hosts import polled

if TYPE_CHECKING:
    import pytest

Session = namedtuple("Session", "name terminal host started pid")


def test_sessions_and_users_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may be logged in twice. No name is sent."""
    names = ("ada", "bob", "ada")
    monkeypatch.setattr(psutil, "users", lambda: [Session(n, "tty1", "", 0, 1) for n in names])
    assert polled("users").figures == {"users_sessions": 3, "users_logged_in": 2}


def test_a_host_without_users_sends_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 is a value, not an error."""
    monkeypatch.setattr(psutil, "users", list)
    poll = polled("users")
    assert (poll.figures, poll.left_out) == ({"users_sessions": 0, "users_logged_in": 0}, {})
