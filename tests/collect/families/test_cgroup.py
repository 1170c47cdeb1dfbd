"""The agent's cgroup, of both versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.hosts import be, polled

if TYPE_CHECKING:
    import pytest

    from pattoo_mp.model import Value


def told(host: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Value]:
    """What a host's cgroup gives, without the prefix."""
    be(host, monkeypatch)
    figures = polled("cgroup").figures
    return {key.removeprefix("cgroup_"): value for key, value in figures.items()}


def test_a_service_tells_what_it_takes_and_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2, in its own place; without a limit of processes."""
    assert told("laptop", monkeypatch) == {
        "memory_used": 41_287_680, "memory_limit": 268_435_456, "swap_used": 0, "memory_kills": 1,
        "cpu_time": 1_734_512, "cpu_limit": 0.2, "cpu_periods": 812, "cpu_throttled_periods": 12,
        "cpu_throttled_time": 98_112, "processes": 9,
    }  # fmt: skip


def test_a_container_finds_itself_at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place, as the kernel calls it, is not among what it sees."""
    assert told("container", monkeypatch) == {
        "memory_used": 7_340_032, "cpu_time": 52, "processes": 3, "processes_limit": 64,
    }  # fmt: skip


def test_version_1_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each controller in its own place; nanoseconds as microseconds, and no limit as none."""
    assert told("virtual", monkeypatch) == {
        "memory_used": 203_423_744, "memory_kills": 2, "cpu_time": 4_253_373_235,
        "cpu_periods": 5, "cpu_throttled_periods": 1, "cpu_throttled_time": 2500, "processes": 175,
    }  # fmt: skip


def test_a_host_without_cgroups_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As old kernels are."""
    be("old", monkeypatch)
    left_out = polled("cgroup").left_out
    assert list(left_out) == ["cgroup"]
    assert "self/cgroup" in left_out["cgroup"]
