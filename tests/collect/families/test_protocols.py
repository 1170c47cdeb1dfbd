"""Protocols, on several kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families.protocols import parse
from pattoo_mp.model import COUNTER64, INTEGER
from tests.support.hosts import be, polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path


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


def test_names_without_their_numbers_are_refused() -> None:
    """The poller will leave the source out, with the reason."""
    with pytest.raises(ValueError, match="expected numbers of"):
        parse("Tcp: A B\nUdp: 1 2")


@pytest.mark.parametrize("bad", ["x", "-1", "1.5", "1_0", "99999999999999999999", ""])
def test_a_bad_figure_costs_no_other(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out with its reason; if the numbers of a protocol are not complete, that protocol is."""
    procfs = ProcFS(tmp_path, monkeypatch)
    lines = f"Tcp: CurrEstab InSegs\nTcp: {bad} 7\nUdp: InDatagrams\nUdp: 9\n"
    procfs.write("net/snmp", lines)
    procfs.write("net/netstat", "IpExt: InOctets\nIpExt: 5\n")
    poll = polled("protocols")
    assert poll.figures == {
        **({"protocols_tcp_segments_in": 7} if bad else {}),
        "protocols_udp_datagrams_in": 9, "protocols_ip_bytes_in": 5,
    }  # fmt: skip
    left_out = ["tcp_established"] if bad else ["tcp_established", "tcp_segments_in"]
    assert list(poll.left_out) == [f"protocols.basic {name}" for name in left_out]
