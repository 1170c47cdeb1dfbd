"""Who the host is to the server."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import identity
from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.doctor.host import Name, find_name, name_findings
from pattoo_mp.model import Origin

if TYPE_CHECKING:
    from pathlib import Path


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
