"""Patterns that match nothing."""

from __future__ import annotations

import pytest

from pattoo_mp.config.settings import defaults
from pattoo_mp.doctor.finding import State
from pattoo_mp.doctor.polls import filter_findings


def found(**given: tuple[str, ...]) -> list[tuple[str, str]]:
    """What is said of these settings on this host, and of which."""
    notes = list(filter_findings(defaults() | given))
    assert {note.state for note in notes} <= {State.NOTE}
    return [(note.subject, note.found) for note in notes]


def test_the_defaults_are_no_slip() -> None:
    """Most hosts have no RAM disk, and need not."""
    assert found() == []


def test_a_pattern_that_matches_is_not_told() -> None:
    """Every host has a loopback."""
    assert found(interfaces_exclude=("l?", "*")) == []


@pytest.mark.parametrize(
    "setting", ["mounts_include", "disks_exclude", "interfaces_include", "temperatures_exclude"]
)
def test_a_pattern_that_matches_nothing_is_named(setting: str) -> None:
    """Each by itself, with its setting."""
    pattern = r"no such device \d+"
    assert found(**{setting: (pattern,)}) == [
        (setting, f"{pattern!r} matches nothing on this host")
    ]
