"""Rules for every family, on any host: mostly for those that the original agent does not have."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect import host, registry
from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.families import EVERY, FURTHER
from pattoo_mp.model import Layout
from tests.support.hosts import HOSTS, NAMES, be, polled
from tests.support.procfs import ProcFS
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN


@pytest.mark.parametrize("name", FURTHER)
def test_this_host_gives_numbers_or_a_reason(name: str) -> None:
    """Every family gives what the host has, and a note for what it lacks."""
    poll = polled(name)
    assert poll.series or poll.left_out
    assert {type(value) for value in poll.series.values()} <= {int, float, type(None)}


@pytest.mark.parametrize("host", NAMES)
def test_another_host_gives_numbers_or_a_reason(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All families in one poll, including the original ones: none breaks another."""
    be(host, monkeypatch)
    poll = polled(*EVERY)
    assert poll.series
    assert {type(value) for value in poll.series.values()} <= {int, float, type(None)}


def test_what_is_left_out_is_the_same_in_each_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log only notes changes, so a host that lacks something is noted once."""
    be("container", monkeypatch)
    poller = Poller(sources_of(*FURTHER), ORIGIN, 1000)
    poller.poll(1000)
    first = poller.left_out
    poller.poll(2000)
    assert poller.left_out == first


def test_a_family_that_is_off_is_not_imported() -> None:
    """So that it costs no memory."""
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
def test_each_name_has_a_module(name: str) -> None:
    """The module has the family's name, and a table for each of its sources."""
    assert [source.name for source in sources_of(name)] == [
        table.name for table in registry.tables((name,))
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(f"families.{name}" for name in (*EVERY, "_processes", "_frequencies", "_supplies")),
        "host",
        "mounts",
    ],
)
def test_docstring_examples_are_true(name: str) -> None:
    """The examples of the parsers in this module."""
    assert doctest.testmod(import_module(f"pattoo_mp.collect.{name}")).failed == 0


# Content for the kernel's files: words that the parsers expect among others, and any bytes.
WORDS = st.sampled_from(
    ["some", "full", "avg10=0.1", "total=5", "total=nan", "cpu0", "cpu", "TCP:", "TCP6:", "Tcp:",
     "TcpExt:", "IpExt:", "Udp:", "sockets:", "inuse", "used", "mem", "CurrEstab", "pgfault",
     "oom_kill", "allocstall_normal", "-1", "0", "1", "1.5", "18446744073709551616", "1e400",
     "9" * 5000, "0::/", "4:memory:/x", "(a b)", ")", "R", "max", "usage_usec", "=", ":", "\n",
     "\n", "\n", "POWER_SUPPLY_TYPE=Battery", "POWER_SUPPLY_CAPACITY=50", "POWER_SUPPLY_CAPACITY=", "processor : 1", "cpu MHz : 800"]
)  # fmt: skip
CONTENT = st.one_of(st.lists(WORDS, max_size=40).map(lambda w: " ".join(w).encode()), st.binary())


def files() -> list[str]:
    """Return the `/proc` and `/sys` files that any of the recorded hosts has."""
    found: set[str] = set()
    for name in NAMES:
        root = HOSTS / name
        found |= {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return sorted(found)


@settings(
    max_examples=90, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(contents=st.lists(CONTENT, min_size=1, max_size=8))
def test_any_content_of_proc_at_worst_leaves_a_family_out(
    contents: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poll can always be stored, read again and sent."""
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


@pytest.mark.parametrize("content", ["", "\n", "unknown 1\n"])
@pytest.mark.parametrize("name", ["paging", "sockets", "protocols", "pressure"])
def test_a_file_without_figures_is_noted(
    name: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No source gives neither a series nor a reason."""
    procfs = ProcFS(tmp_path, monkeypatch)
    (tmp_path / "pressure").mkdir()
    for file in ("vmstat", "net/sockstat", "net/sockstat6", "net/snmp", "net/netstat",
                 "pressure/cpu", "pressure/memory", "pressure/io"):  # fmt: skip
        procfs.write(file, content)
    poll = polled(name)
    assert poll.series == {}
    assert set(poll.left_out) == {table.name for table in registry.tables((name,))}


def test_no_line_of_the_kernel_is_cut_where_it_has_no_end() -> None:
    """str.splitlines cuts at eight characters that may be a part of a name."""
    cutting = [
        path.name
        for path in Path(registry.__file__).parent.rglob("*.py")
        if ".splitlines(" in path.read_text()
    ]
    assert cutting == []
