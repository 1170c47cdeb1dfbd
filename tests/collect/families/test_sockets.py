"""Sockets, on several kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families.sockets import parse
from tests.support.hosts import be, polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path


def test_a_recent_kernel_reports_both_versions_of_ip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number, by state, and their memory."""
    be("virtual", monkeypatch)
    poll = polled("sockets")
    assert len(poll.figures) == 16
    assert poll.figures["sockets_tcp_tw"] == 435
    assert poll.figures["sockets_tcp6_inuse"] == 0
    assert poll.left_out == {}


def test_a_host_without_ipv6_reports_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The IPv6 source is left out."""
    be("old", monkeypatch)
    poll = polled("sockets")
    assert poll.figures["sockets_used"] == 287
    assert poll.figures["sockets_udp_mem"] == 2
    assert list(poll.left_out) == ["sockets.ipv6"]


@pytest.mark.parametrize("text", ["TCP: inuse", "TCP: inuse 1 orphan"])
def test_an_incomplete_line_is_refused(text: str) -> None:
    """The poller will leave the source out, with the reason."""
    with pytest.raises(ValueError, match="zip"):
        parse(text)


@pytest.mark.parametrize("bad", ["x", "-1", "1.5"])
def test_a_bad_figure_costs_no_other(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out with its reason."""
    procfs = ProcFS(tmp_path, monkeypatch)
    procfs.write("net/sockstat", f"sockets: used 82\nTCP: inuse {bad} orphan 3\n")
    poll = polled("sockets")
    assert poll.figures == {"sockets_used": 82, "sockets_tcp_orphan": 3}
    assert bad in poll.left_out["sockets.ipv4 tcp_inuse"]
