"""Forks and blocked processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.model import COUNTER64, INTEGER
from tests.support.hosts import be, polled

if TYPE_CHECKING:
    import pytest


def test_forks_are_a_counter_and_the_rest_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in /proc/stat."""
    be("server", monkeypatch)
    found = {
        series.key: (series.data_type, value)
        for series, value in polled("process_events").series.items()
    }
    assert found == {
        "process_events_forks": (COUNTER64, 205_376),
        "process_events_running": (INTEGER, 4),
        "process_events_blocked": (INTEGER, 2),
    }


def test_a_host_that_hides_the_file_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason."""
    be("container", monkeypatch)
    assert list(polled("process_events").left_out) == ["process_events"]
