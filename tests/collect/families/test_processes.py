"""One look at all processes for two sources."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect import host, registry
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
    """The files of our own process that are read, as they are."""
    read: list[str] = []

    def noted(name: str, proc: Callable[[str], str] = host.proc) -> str:
        if name.startswith(f"{os.getpid()}/"):
            read.append(name)
        return proc(name)

    monkeypatch.setattr(host, "proc", noted)
    return read


def poller(*names: str, frugal: bool = True) -> Poller:
    """Polls families of these names as the agent does."""
    filters = replace(DEFAULT, families=names)
    return Poller(registry.sources(20.0, filters, frugal=frugal), ORIGIN, 1000)


@pytest.mark.parametrize(("names", "looks"), [(BOTH, 1), (BOTH[:1], 1), (BOTH[1:], 1)])
def test_a_process_is_looked_at_once_a_poll(
    files_read: list[str], names: tuple[str, ...], looks: int
) -> None:
    """By both families together; and in the next poll once more."""
    polls = poller(*names)
    for number in range(1, 4):
        polls.poll(1000 * number)
        assert len(files_read) == looks * number


def test_what_is_seen_together_is_what_each_would_see() -> None:
    """Nothing is left out between the two."""
    still = tuple(running())
    look = OneLook(lambda: still)
    assert look.first() == look.second() == still


def test_the_second_looks_for_itself_where_the_first_has_failed() -> None:
    """It is not given what was seen in another poll."""
    pids = iter(range(9))

    def looked() -> list[Process]:
        if (pid := next(pids)) == 1:
            raise OSError("this look fails")
        return [Process(pid, 0, "sh", "S", 1, 0, 0)]

    look = OneLook(looked)
    assert [process.pid for process in look.first()] == [0]
    with pytest.raises(OSError, match="fails"):
        look.first()
    assert [process.pid for process in look.second()] == [2]
    assert [process.pid for process in look.second()] == [3]
