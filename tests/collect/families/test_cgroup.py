"""The agent's cgroup, in versions 1 and 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect import host
from tests.support.hosts import be, polled

if TYPE_CHECKING:
    from pathlib import Path

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


# A limit of a cgroup above holds for those below.


def tree(
    root: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str]
) -> dict[str, Value]:
    """The figures where `own` is /proc/self/cgroup, and `files` are below /sys/fs/cgroup."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(own)
    for name, text in files.items():
        path = root / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(root / "proc"), raising=False)
    monkeypatch.setattr(host, "SYS", root / "sys")
    by_key = polled("cgroup").figures
    return {key.removeprefix("cgroup_"): value for key, value in by_key.items()}


def test_version_2_has_the_least_limit_of_the_way_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of memory, processors and processes; that of a cgroup beside it does not count."""
    found = tree(tmp_path, monkeypatch, "0::/a.slice/b/c\n", {
        "a.slice/memory.max": "1000", "a.slice/b/memory.max": "3000",
        "a.slice/b/c/memory.max": "max", "a.slice/other/memory.max": "1",
        "a.slice/cpu.max": "max 100000", "a.slice/b/cpu.max": "50000 100000",
        "a.slice/b/c/cpu.max": "40000 10000", "a.slice/b/pids.max": "7", "pids.max": "max",
        "a.slice/b/c/memory.current": "10",
    })  # fmt: skip
    assert found == {
        "memory_used": 10, "memory_limit": 1000, "cpu_limit": 0.5, "processes_limit": 7,
    }  # fmt: skip


def test_version_1_has_the_least_limit_of_the_way_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of memory the kernel gives it: not every hierarchy of version 1 is one."""
    unlimited = str(2**63 - 4096)
    found = tree(tmp_path, monkeypatch, "5:memory:/a/b\n4:cpu,cpuacct:/a/b\n3:pids:/a/b\n", {
        "memory/a/memory.limit_in_bytes": "500", "memory/a/b/memory.limit_in_bytes": unlimited,
        "memory/a/b/memory.stat": "cache 1\nhierarchical_memory_limit 400",
        "cpu/a/cpu.cfs_quota_us": "150000", "cpu/a/cpu.cfs_period_us": "100000",
        "cpu/a/b/cpu.cfs_quota_us": "-1", "cpu/a/b/cpu.cfs_period_us": "100000",
        "pids/a/pids.max": "9", "pids/a/b/pids.max": "max",
    })  # fmt: skip
    assert found == {"memory_limit": 400, "cpu_limit": 1.5, "processes_limit": 9}


@pytest.mark.parametrize("allowed", ["", "hierarchical_memory_limit 9223372036854771712"])
def test_without_a_hierarchy_version_1_has_its_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    """A limit of a cgroup above does not hold then."""
    found = tree(tmp_path, monkeypatch, "5:memory:/a/b\n", {
        "memory/a/memory.limit_in_bytes": "500", "memory/a/b/memory.limit_in_bytes": "800",
        "memory/a/b/memory.stat": allowed,
    })  # fmt: skip
    assert found == {"memory_limit": 800}


def test_a_path_out_of_the_namespace_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of the mounted hierarchy is what there is of it; names may hold any character."""
    found = tree(tmp_path, monkeypatch, "0::/../x\x85y\n", {
        "memory.max": "70", "../x\x85y/memory.max": "1",
    })  # fmt: skip
    assert found == {"memory_limit": 70}
