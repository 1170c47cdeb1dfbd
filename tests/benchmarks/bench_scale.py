"""A simulated host of 1,000 interfaces, 200 disks and 100 mounts, compared with a small one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.wire.encode import encode
from tests.benchmarks.hosts import LARGE, SMALL, Host, polls

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

HOSTS = pytest.mark.parametrize("host", [SMALL, LARGE], ids=["small", "large"])


@HOSTS
def test_poll(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: Host
) -> None:
    """A poll of the families with devices."""
    poller = host.install(monkeypatch, tmp_path / "proc")
    layout, _ = poller.poll(0)
    benchmark.group = f"poll of {len(layout.series)} datapoints"
    benchmark(poller.poll, 1)


@HOSTS
def test_encode(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: Host
) -> None:
    """Encode one poll in a post."""
    layout, (poll,) = polls(host.install(monkeypatch, tmp_path / "proc"), 1)
    benchmark.group = f"encode {len(layout.series)} datapoints"
    benchmark(encode, {layout.identifier: layout}, [poll], 1)
