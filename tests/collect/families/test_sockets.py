"""Sockets, of several kernels."""

from __future__ import annotations

import pytest

from pattoo_mp.collect.families.sockets import parse
from tests.support.hosts import be, polled


def test_a_kernel_of_today_tells_both_versions_of_ip(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many there are, in which state, and what memory they take."""
    be("virtual", monkeypatch)
    told = polled("sockets")
    assert len(told.figures) == 16
    assert told.figures["sockets_tcp_tw"] == 435
    assert told.figures["sockets_tcp6_inuse"] == 0
    assert told.left_out == {}


def test_a_host_without_ipv6_tells_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out by name."""
    be("old", monkeypatch)
    told = polled("sockets")
    assert told.figures["sockets_used"] == 287
    assert told.figures["sockets_udp_mem"] == 2
    assert list(told.left_out) == ["sockets.ipv6"]


@pytest.mark.parametrize("text", ["TCP: inuse", "TCP: inuse x", "TCP: inuse 1 orphan"])
def test_half_a_line_is_refused(text: str) -> None:
    """The family is left out, and the log says why."""
    with pytest.raises(ValueError, match=r"zip|invalid"):
        parse(text)
