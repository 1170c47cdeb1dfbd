"""Outputs that listen: whether they do, or could."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pattoo_mp.config.values import NO_FILES, PULL, Output
from pattoo_mp.doctor.server import check_servers, listening_findings
from tests.support.configs import config_in
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.doctor.finding import Finding


def findings(home: Path, listen: str, *, is_running: bool) -> list[Finding]:
    """What is found of an output that listens there."""
    output = Output(PULL, PULL, (), NO_FILES, listen=listen)
    config = config_in(home, given_outputs=(output,))
    assert check_servers(config) == ()
    return list(listening_findings(config, is_running=is_running))


def test_a_free_port_can_be_listened_at(home: Path) -> None:
    """And is free again afterwards."""
    where = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        (one,) = findings(home, where, is_running=False)
        assert one.found == f"can listen at http://{where}"


def test_a_port_of_another_program_is_trouble(home: Path) -> None:
    """Before a start; while the agent runs, it cannot be told from its own, and is not said to be."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        (one,) = findings(home, where, is_running=False)
        assert one.found == f"cannot listen at {where}: Address already in use"
        (one,) = findings(home, where, is_running=True)
        assert one.found == f"something answers at http://{where}"


def test_an_agent_that_does_not_answer_is_trouble(home: Path) -> None:
    """With why."""
    where = f"127.0.0.1:{free_port()}"
    (one,) = findings(home, where, is_running=True)
    assert one.found == f"nothing answers at {where}: Connection refused"


def test_what_strangers_get_is_noted(home: Path) -> None:
    """Of an address that they can reach."""
    found = findings(home, f"0.0.0.0:{free_port()}", is_running=False)
    assert "the page of an original spoke, and nothing else" in found[-1].found


def test_an_address_may_have_a_zone(home: Path) -> None:
    """As one of IPv6 that is valid on one link only; no host has this one there."""
    where = "[fe80::1%25lo]:5000"
    one, _ = findings(home, where, is_running=False)
    assert one.found == f"cannot listen at {where}: Cannot assign requested address"
    one, _ = findings(home, where, is_running=True)
    assert "Name or service" not in one.found


def test_an_unknown_name_is_said_to_be_one(home: Path) -> None:
    """A resolver's errors have numbers of their own."""
    one, _ = findings(home, "[fe80::1%25none]:5000", is_running=False)
    assert one.found == "cannot listen at [fe80::1%25none]:5000: Name or service not known"
