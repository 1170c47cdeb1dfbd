"""One scan of all processes, shared by two sources."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect import host, registry
from pattoo_mp.collect.context import Plan
from pattoo_mp.collect.families._processes import OneLook, Process, running
from pattoo_mp.collect.poller import Poller
from pattoo_mp.doctor.polls import DEFAULT
from pattoo_mp.model import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

ORIGIN = Origin("a5" * 32, "myhost")
BOTH = ("process_states", "top_processes")


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which files of our own process are read."""
    read: list[str] = []

    def noted(name: str, proc: Callable[[str], str] = host.proc) -> str:
        if name.startswith(f"{os.getpid()}/"):
            read.append(name)
        return proc(name)

    monkeypatch.setattr(host, "proc", noted)
    return read


def make_poller(*names: str, frugal: bool = True) -> Poller:
    """Return a poller for these families, as the agent makes it."""
    filters = replace(DEFAULT, families=names)
    return Poller(registry.sources_of(Plan(filters, 20.0, shared=frugal)), ORIGIN, 1000)


@pytest.mark.parametrize(("names", "scans"), [(BOTH, 1), (BOTH[:1], 1), (BOTH[1:], 1)])
def test_each_process_is_read_once_per_poll(
    files_read: list[str], names: tuple[str, ...], scans: int
) -> None:
    """Once for both families together, and once more in the next poll."""
    poller = make_poller(*names)
    for number in range(1, 4):
        poller.poll(1000 * number)
        assert len(files_read) == scans * number


def test_both_sources_get_the_same_processes() -> None:
    """The shared scan loses nothing."""
    found = tuple(running())
    shared = OneLook(lambda: found)
    assert shared.first() == shared.second() == found


def test_the_second_source_scans_if_the_first_failed() -> None:
    """It never gets the result of another poll."""
    pids = iter(range(9))

    def scan() -> list[Process]:
        if (pid := next(pids)) == 1:
            raise OSError("this scan fails")
        return [Process(pid, 0, "sh", "S", 1, 0, 0)]

    shared = OneLook(scan)
    assert [process.pid for process in shared.first()] == [0]
    with pytest.raises(OSError, match="fails"):
        shared.first()
    assert [process.pid for process in shared.second()] == [2]
    assert [process.pid for process in shared.second()] == [3]
