"""The agent's cgroup, in versions 1 and 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.hosts import be, polled

if TYPE_CHECKING:
    import pytest

    from pattoo_mp.model import Value


def figures(host: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Value]:
    """Return the figures of a host's cgroup, by key without the prefix."""
    be(host, monkeypatch)
    by_key = polled("cgroup").figures
    return {key.removeprefix("cgroup_"): value for key, value in by_key.items()}


def test_a_service_reports_its_usage_and_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2, with the cgroup in its own directory; without a limit of processes."""
    assert figures("laptop", monkeypatch) == {
        "memory_used": 41_287_680, "memory_limit": 268_435_456, "swap_used": 0, "memory_kills": 1,
        "cpu_time": 1_734_512, "cpu_limit": 0.2, "cpu_periods": 812, "cpu_throttled_periods": 12,
        "cpu_throttled_time": 98_112, "processes": 9,
    }  # fmt: skip


def test_a_container_finds_its_cgroup_at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path that the kernel reports does not exist in the container."""
    assert figures("container", monkeypatch) == {
        "memory_used": 7_340_032, "cpu_time": 52, "processes": 3, "processes_limit": 64,
    }  # fmt: skip


def test_version_1_reports_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each controller has its directory; nanoseconds become microseconds; no limit is not sent."""
    assert figures("virtual", monkeypatch) == {
        "memory_used": 203_423_744, "memory_kills": 2, "cpu_time": 4_253_373_235,
        "cpu_periods": 5, "cpu_throttled_periods": 1, "cpu_throttled_time": 2500, "processes": 175,
    }  # fmt: skip


def test_a_host_without_cgroups_leaves_the_family_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one with an old kernel."""
    be("old", monkeypatch)
    left_out = polled("cgroup").left_out
    assert list(left_out) == ["cgroup"]
    assert "self/cgroup" in left_out["cgroup"]
