"""What holds for every family that the original does not have, whatever the host is like."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect import host, registry
from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.families import EVERY, FURTHER
from pattoo_mp.model import Layout
from tests.support.hosts import HOSTS, NAMES, be, polled
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", FURTHER)
def test_this_host_gives_numbers_or_says_why_not(name: str) -> None:
    """Every family gives what the host has, and a line for what it has not."""
    told = polled(name)
    assert told.series or told.left_out
    assert {type(value) for value in told.series.values()} <= {int, float, type(None)}


@pytest.mark.parametrize("host", NAMES)
def test_another_host_gives_numbers_or_says_why_not(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All families in one poll, the original's too: none ends another."""
    be(host, monkeypatch)
    told = polled(*EVERY)
    assert told.series
    assert {type(value) for value in told.series.values()} <= {int, float, type(None)}


def test_what_is_left_out_is_the_same_in_each_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that lacks something is told of once: the log goes by what changes."""
    be("container", monkeypatch)
    poller = Poller(sources_of(*FURTHER), ORIGIN, 1000)
    poller.poll(1000)
    first = poller.left_out
    poller.poll(2000)
    assert poller.left_out == first


def test_a_family_that_is_off_is_not_imported() -> None:
    """No host pays memory for what it does not poll."""
    code = (
        "import sys; from pattoo_mp.collect import collector, registry;"
        "print(*(n for n in sys.argv[1:] if f'pattoo_mp.collect.families.{n}' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *FURTHER],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", EVERY)
def test_each_name_is_a_family(name: str) -> None:
    """A module of that name, with a table for each of its sources."""
    assert [source.name for source in sources_of(name)] == [
        table.name for table in registry.tables((name,))
    ]


@pytest.mark.parametrize(
    "name", [*(f"families.{name}" for name in EVERY), "families._processes", "host", "mounts"]
)
def test_the_examples_of_its_parsers_are_true(name: str) -> None:
    """As their docstrings have them."""
    assert doctest.testmod(import_module(f"pattoo_mp.collect.{name}")).failed == 0


# What stands where a kernel writes its figures: its own words among others, and any bytes.
WORDS = st.sampled_from(
    ["some", "full", "avg10=0.1", "total=5", "total=nan", "cpu0", "cpu", "TCP:", "TCP6:", "Tcp:",
     "TcpExt:", "IpExt:", "Udp:", "sockets:", "inuse", "used", "mem", "CurrEstab", "pgfault",
     "oom_kill", "allocstall_normal", "-1", "0", "1", "1.5", "18446744073709551616", "1e400",
     "9" * 5000, "0::/", "4:memory:/x", "(a b)", ")", "R", "max", "usage_usec", "=", ":", "\n",
     "\n", "\n", "POWER_SUPPLY_TYPE=Battery", "POWER_SUPPLY_CAPACITY=50", "POWER_SUPPLY_CAPACITY="]
)  # fmt: skip
CONTENT = st.one_of(st.lists(WORDS, max_size=40).map(lambda w: " ".join(w).encode()), st.binary())


def files() -> list[str]:
    """The files of `/proc` and `/sys` that one of the kept hosts has."""
    found: set[str] = set()
    for name in NAMES:
        root = HOSTS / name
        found |= {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return sorted(found)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(contents=st.lists(CONTENT, min_size=1, max_size=8))
def test_no_content_of_proc_does_worse_than_leave_a_family_out(
    contents: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands there, the poll is one that can be kept, read again, and sent."""
    for number, name in enumerate(files()):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % len(contents)])
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "proc"), raising=False)
    monkeypatch.setattr(host, "SYS", tmp_path / "sys")
    poller = Poller(sources_of(*FURTHER), ORIGIN, 1000)
    for _ in range(2):
        layout, poll = poller.poll(1000)
        values = poll.values()
        assert len(values) == len(layout.series)
        assert Layout.unpack(layout.packed) == layout
        assert {type(value) for value in values} <= {int, float, type(None)}
