"""The host's clock."""

from __future__ import annotations

import pytest

from pattoo_mp.doctor import host
from pattoo_mp.doctor.finding import State


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
