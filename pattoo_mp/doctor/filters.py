"""Patterns that match nothing on this host: a slip of the pen, or a device that is not there."""

from __future__ import annotations

from fnmatch import filter as matching
from typing import TYPE_CHECKING, Any

import psutil

from pattoo_mp.collect.families import network
from pattoo_mp.collect.families._sensors import by_sensor
from pattoo_mp.collect.host import HostPaths
from pattoo_mp.collect.mounts import listing
from pattoo_mp.config.settings import defaults
from pattoo_mp.doctor.finding import Finding, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


def _there(paths: HostPaths) -> Mapping[str, Callable[[], Iterable[str]]]:
    """What there is of each kind, by the beginning of the settings' names."""
    mounts = listing(paths).listed
    return {
        "mounts": lambda: (mount.mountpoint for mount in mounts()),
        "filesystems": lambda: (mount.fstype for mount in mounts()),
        "disks": lambda: psutil.disk_io_counters(perdisk=True),
        "interfaces": network.counters(paths),
        "temperatures": lambda: by_sensor(psutil.sensors_temperatures(), lambda _: {}),
    }


def findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    """A line for each such pattern of settings by their names; the defaults are none of them."""
    usual: Mapping[str, Any] = defaults()
    for kind, there in _there(HostPaths.of(values)).items():
        for setting in (f"{kind}_include", f"{kind}_exclude"):
            given = [pattern for pattern in values[setting] if pattern not in usual[setting]]
            names = list(there()) if given else []
            for pattern in given:
                if not matching(names, pattern):
                    yield note(
                        setting,
                        f"{pattern!r} matches nothing on this host",
                        "compare it with the names that --once shows; a pattern is for a whole name",
                    )
