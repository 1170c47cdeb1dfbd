"""Paging, on several kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.collect.families.paging import parse
from tests.support.hosts import be, polled

if TYPE_CHECKING:
    import pytest


def test_a_recent_kernel_reports_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other lines of the file are ignored."""
    be("virtual", monkeypatch)
    figures = polled("paging").figures
    assert len(figures) == 12
    assert figures["paging_pgfault"] == 98_084_704
    assert figures["paging_oom_kill"] == 0


def test_an_old_kernel_reports_zones_and_no_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones are summed; what the kernel does not count is not sent."""
    be("old", monkeypatch)
    poll = polled("paging")
    assert poll.figures == {
        "paging_pgpgin": 181_337_021, "paging_pgpgout": 509_118_264,
        "paging_pswpin": 4217, "paging_pswpout": 9901,
        "paging_pgfault": 9_120_044_171, "paging_pgmajfault": 118_034,
        "paging_pgscan_kswapd": 30_417_114, "paging_pgscan_direct": 51_120,
        "paging_allocstall": 311,
    }  # fmt: skip
    assert poll.left_out == {}


def test_a_host_without_the_file_leaves_the_family_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a container."""
    be("container", monkeypatch)
    assert list(polled("paging").left_out) == ["paging"]


def test_a_longer_name_is_another_figure() -> None:
    """pgscan_direct_throttle counts waits, not pages."""
    assert parse("pgscan_direct_throttle 9\npgscan_direct 1\npgscan_direct_normal 2\n") == {
        "pgscan_direct": 3
    }
