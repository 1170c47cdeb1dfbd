"""Protocols, on several kernels."""

from __future__ import annotations

import pytest

from pattoo_mp.collect.families.protocols import parse
from pattoo_mp.model import COUNTER64, INTEGER
from tests.support.hosts import be, polled


def test_a_recent_kernel_reports_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure has a descriptive name."""
    be("virtual", monkeypatch)
    figures = polled("protocols").figures
    assert len(figures) == 25
    assert figures["protocols_tcp_established"] == 7
    assert figures["protocols_tcp_segments_again"] == 80
    assert figures["protocols_tcp_passive_opens"] == 7_982
    assert figures["protocols_tcp_syn_again"] == 0
    assert figures["protocols_ip_bytes_in"] == 1_759_743_486


def test_an_old_kernel_reports_what_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other figures are not sent."""
    be("old", monkeypatch)
    poll = polled("protocols")
    assert poll.figures["protocols_tcp_listen_overflows"] == 7
    assert poll.figures["protocols_udp_no_port"] == 411
    assert "protocols_tcp_syn_again" not in poll.figures
    assert "protocols_ip_bytes_in" not in poll.figures
    assert poll.left_out == {}


def test_only_established_connections_are_not_a_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server shows all others as rates."""
    be("virtual", monkeypatch)
    types = {series.key: series.data_type for series in polled("protocols").series}
    assert types.pop("protocols_tcp_established") == INTEGER
    assert set(types.values()) == {COUNTER64}


@pytest.mark.parametrize("text", ["Tcp: A B\nUdp: 1 2", "Tcp: A B\nTcp: 1", "Tcp: A\nTcp: x"])
def test_names_and_numbers_that_do_not_match_are_refused(text: str) -> None:
    """The poller will leave the source out, with the reason."""
    with pytest.raises(ValueError, match=r"expected numbers of|zip|invalid"):
        parse(text)
