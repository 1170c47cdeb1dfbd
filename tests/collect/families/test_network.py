"""The counters of interfaces: the kernel's own, and one damaged line costs one interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect.poller import Poller
from tests.support.hosts import again, polled
from tests.support.procfs import NET_DEV, ProcFS
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

COUNTERS = "1048576 1000 1 2 0 0 0 0 524288 500 3 4 0 0 0 0"
GOOD = f"    lo: {COUNTERS}\n  eth0:{COUNTERS}\n"


@pytest.fixture
def procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcFS:
    """Return a simulated /proc."""
    return ProcFS(tmp_path, monkeypatch)


@pytest.mark.parametrize("space", ["\x85", "\u2028", "\u2029", "\u00a0"])
def test_a_name_may_hold_what_others_take_for_a_line_end(procfs: ProcFS, space: str) -> None:
    """The kernel takes such names, and writes one line for each interface."""
    names = [f"a{space}b", f"c{space}", f"{space}d"]
    procfs.interfaces("lo", *names)
    poll = polled("network")
    assert list(poll.by("network_io_interface")) == ["lo", *names]
    assert poll.left_out == {}


def test_a_counter_that_steps_back_is_sent_as_it_is(procfs: ProcFS) -> None:
    """An interface that was removed and made again begins at 0, as the kernel says."""
    poller = Poller(sources_of("network"), ORIGIN, 1000)
    for received in (5_000_000, 300, 4_000):
        procfs.write("net/dev", f"{NET_DEV}  eth0: {received} 8 7 6 0 0 0 0 5 4 3 2 0 0 0 0\n")
        figures = again(poller).by("network_io_interface")["eth0"]
        assert figures["network_io_bytes_recv"] == received


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged=st.one_of(
    st.text().map(lambda text: text.replace("\n", "")),
    st.sampled_from(["veth1:", "veth1: 1 2", "veth1: " + "x " * 16, "veth1: " + "9" * 5000]),
))  # fmt: skip
def test_a_damaged_line_costs_no_other_interface(procfs: ProcFS, damaged: str) -> None:
    """The values of the others are unchanged."""
    procfs.write("net/dev", NET_DEV + GOOD)
    good = polled("network").by("network_io_interface")
    lines = f"{NET_DEV}{damaged}\n{GOOD}"
    procfs.write("net/dev", lines.encode("utf-8", "surrogatepass"))
    found = polled("network").by("network_io_interface")
    assert {name: found[name] for name in good} == good


def test_an_interface_with_a_damaged_line_is_noted(procfs: ProcFS) -> None:
    """With its name and the reason."""
    procfs.write("net/dev", f"{NET_DEV}{GOOD} veth1: 1 2 3\n")
    poll = polled("network")
    assert list(poll.by("network_io_interface")) == ["lo", "eth0"]
    assert list(poll.left_out) == ["network_io veth1"]


@pytest.mark.parametrize("content", ["", NET_DEV])
def test_a_file_without_interfaces_is_noted(procfs: ProcFS, content: str) -> None:
    """A network has at least the loopback device."""
    procfs.write("net/dev", content)
    assert list(polled("network").left_out) == ["network_io"]
