"""Protocols, of several kernels."""

from __future__ import annotations

import pytest

from pattoo_mp.collect.families.protocols import parse
from pattoo_mp.model import COUNTER64, INTEGER
from tests.support.hosts import be, polled


def test_a_kernel_of_today_tells_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure under a name that says what it counts."""
    be("virtual", monkeypatch)
    figures = polled("protocols").figures
    assert len(figures) == 25
    assert figures["protocols_tcp_established"] == 7
    assert figures["protocols_tcp_segments_again"] == 80
    assert figures["protocols_tcp_passive_opens"] == 7_982
    assert figures["protocols_tcp_syn_again"] == 0
    assert figures["protocols_ip_bytes_in"] == 1_759_743_486


def test_an_old_kernel_tells_what_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made up for the rest."""
    be("old", monkeypatch)
    told = polled("protocols")
    assert told.figures["protocols_tcp_listen_overflows"] == 7
    assert told.figures["protocols_udp_no_port"] == 411
    assert "protocols_tcp_syn_again" not in told.figures
    assert "protocols_ip_bytes_in" not in told.figures
    assert told.left_out == {}


def test_only_what_is_established_now_is_no_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server shows all others as what they grew by."""
    be("virtual", monkeypatch)
    types = {series.key: series.data_type for series in polled("protocols").series}
    assert types.pop("protocols_tcp_established") == INTEGER
    assert set(types.values()) == {COUNTER64}


@pytest.mark.parametrize("text", ["Tcp: A B\nUdp: 1 2", "Tcp: A B\nTcp: 1", "Tcp: A\nTcp: x"])
def test_names_and_numbers_that_do_not_belong_together_are_refused(text: str) -> None:
    """The family is left out, and the log says why."""
    with pytest.raises(ValueError, match=r"expected numbers of|zip|invalid"):
        parse(text)
