"""Hosts whose /proc and /sys are stored in `tests/data/hosts`, and polls of them.

- `virtual`: Linux 6.18 with two processors, as it was found.
- `laptop`: Linux 5.10 with systemd, and sensors.
- `board`: a small ARM board; some of its processors are offline.
- `server`: Linux 6.12 with software RAID, a bonded interface, and processor 1 offline.
- `old`: Linux 2.6.32, from before pressure and much else.
- `container`: one that shows next to nothing of the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.poller import Poller
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    import pytest

    from pattoo_mp.model import Series, Value

HOSTS: Final = Path(__file__).parents[1] / "data" / "hosts"
NAMES: Final = ("virtual", "laptop", "board", "server", "old", "container")


def be(name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the families read that host. Return its directory."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(HOSTS / name / "proc"), raising=False)
    monkeypatch.setattr(host, "SYS", HOSTS / name / "sys")
    return HOSTS / name


@dataclass(frozen=True)
class Polled:
    """The values of one poll by series, and what was left out."""

    series: dict[Series, Value]
    left_out: dict[str, str]

    @property
    def figures(self) -> dict[str, Value]:
        """The values by key, for families without devices."""
        return {series.key: value for series, value in self.series.items()}

    def by(self, label: str) -> dict[str, dict[str, Value]]:
        """Return the values by key, for each value of `label`, such as each disk."""
        devices: dict[str, dict[str, Value]] = {}
        for series, value in self.series.items():
            devices.setdefault(dict(series.metadata)[label], {})[series.key] = value
        return devices


def polled(*families: str, **filters: Any) -> Polled:  # noqa: ANN401 - whatever a field holds
    """Poll these families."""
    return again(Poller(sources_of(*families, **filters), ORIGIN, 1000))


def again(poller: Poller) -> Polled:
    """Poll once with an existing poller."""
    layout, poll = poller.poll(1000)
    values = poll.values()
    assert len(set(layout.series)) == len(layout.series) == len(values)
    return Polled(dict(zip(layout.series, values, strict=True)), poller.left_out)
