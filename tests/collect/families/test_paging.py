"""Paging, of several kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.collect.families.paging import parse
from tests.support.hosts import be, polled

if TYPE_CHECKING:
    import pytest


def test_a_kernel_of_today_tells_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And much else, which is not asked for."""
    be("virtual", monkeypatch)
    figures = polled("paging").figures
    assert len(figures) == 12
    assert figures["paging_pgfault"] == 98_084_704
    assert figures["paging_oom_kill"] == 0


def test_an_old_kernel_tells_its_zones_and_no_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones are added up; what it does not count is not sent."""
    be("old", monkeypatch)
    told = polled("paging")
    assert told.figures == {
        "paging_pgpgin": 181_337_021, "paging_pgpgout": 509_118_264,
        "paging_pswpin": 4217, "paging_pswpout": 9901,
        "paging_pgfault": 9_120_044_171, "paging_pgmajfault": 118_034,
        "paging_pgscan_kswapd": 30_417_114, "paging_pgscan_direct": 51_120,
        "paging_allocstall": 311,
    }  # fmt: skip
    assert told.left_out == {}


def test_a_host_that_shows_none_of_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container may."""
    be("container", monkeypatch)
    assert list(polled("paging").left_out) == ["paging"]


def test_what_only_begins_like_a_figure_is_another() -> None:
    """pgscan_direct_throttle counts waits, not pages."""
    assert parse("pgscan_direct_throttle 9\npgscan_direct 1\npgscan_direct_normal 2\n") == {
        "pgscan_direct": 3
    }
