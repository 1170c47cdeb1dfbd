"""Names in Prometheus beside Debian's node_exporter on this host: same names, labels and values."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Final

import pytest

from pattoo_mp.collect.families import processor
from pattoo_mp.collect.filters import Filter
from pattoo_mp.config.families import EVERY
from pattoo_mp.config.values import NO_FILES, REMOTE_WRITE, Output
from pattoo_mp.model import COUNTER64, Layout
from pattoo_mp.upload.remote_write.prometheus_names import PrometheusNaming
from tests.support import node_exporter
from tests.support.hosts import polled
from tests.support.node_exporter_names import TWINS
from tests.wire.posts import ORIGIN
from tools import prometheus_names

if TYPE_CHECKING:
    from tests.support.node_exporter import Name

pytestmark = pytest.mark.skipif(node_exporter.PROGRAM is None, reason=node_exporter.WHY_MISSING)

_ALL: Final = {"disks": Filter(), "mounts": Filter(), "without_device": Filter()}
_SOURCE: Final = {"__name__", "instance", "job"}
#: Twins of which our labels do not say enough for node_exporter's: see docs/prometheus.md.
_OTHER_LABELS: Final = {
    "temperature_current", "temperature_high", "temperature_critical", "fan_speed",
    "thermal_zone_current",
}  # fmt: skip
#: It leaves out states in which nothing is, where ours are 0. Frequencies that only /proc/cpuinfo has, it
#: does not read.
_ONLY_OURS: Final = {
    "node_processes_state", "node_tcp_connection_states", "node_cpu_scaling_frequency_hertz",
}  # fmt: skip
#: Its value there is 0, since the kernel says `unknown`.
_LOOPBACK: Final = ("node_network_up", frozenset({("device", "lo")}))
#: The kernel sums up nanoseconds, node_exporter hundredths of a second of each processor; load has two
#: decimals there.
_SLACK: Final = 0.011
_ROUNDS: Final = 20


def ours() -> dict[Name, tuple[float, bool]]:
    """Return our values with Prometheus's names and in its units, and which are counters."""
    found = polled(*(family for family in EVERY if family != "agent"), **_ALL).series
    layout = Layout(ORIGIN, 1000, tuple(found))
    output = Output(REMOTE_WRITE, "m", ("http://x",), NO_FILES)
    named = PrometheusNaming(output).named(layout)
    return {
        (
            labels["__name__"],
            frozenset((name, text) for name, text in labels.items() if name not in _SOURCE),
        ): (value * scale, series.data_type == COUNTER64)
        for (series, value), labels, scale in zip(
            found.items(), named.labels, named.scales, strict=True
        )
        if labels is not None and value is not None
    }


def test_a_key_that_node_exporter_gives_has_its_name() -> None:
    """And its fixed labels and unit; but for those whose labels we do not know."""
    for _, table, metric in prometheus_names.every():
        key = table.key(metric)
        twin = TWINS.get(key)
        named = prometheus_names.named(table, metric)
        if twin and twin.is_same and key not in _OTHER_LABELS:
            assert (named.name, named.labels) == (twin.name, dict(twin.labels))
            assert named.scale == pytest.approx(twin.factor)
        else:
            assert named.name.startswith("pattoo_"), key


def test_each_series_that_both_give_is_the_same() -> None:
    """Its name and labels are the same, and its value lies between two scrapes."""
    processor.prime()
    unseen: dict[Name, str] = {}
    seen: set[Name] = set()
    with node_exporter.running() as ask:
        for _ in range(_ROUNDS):
            before, mine, after = ask(), ours(), ask()
            for name, (value, is_counter) in mine.items():
                if not name[0].startswith("node_") or name == _LOOPBACK or _is_of_tests(name):
                    continue
                if name not in before or name not in after:
                    if name[0] not in _ONLY_OURS:
                        unseen[name] = "node_exporter has no such series"
                    continue
                low, high = sorted((before[name], after[name]))
                slack = _SLACK + 1e-12 * high
                if low - slack <= value <= high + slack:
                    seen.add(name)
                else:
                    assert not is_counter or _may_fall(name), (name, low, value, high)
                    unseen[name] = f"{value} is not in {low} to {high}"
            unseen = {name: why for name, why in unseen.items() if name not in seen}
            if not unseen:
                break
    assert unseen == {}
    assert len(seen) > 200


def _is_of_tests(name: Name) -> bool:
    """Whether it is of a mount that other tests make and remove meanwhile."""
    return any(
        label == "mountpoint" and text.startswith(tempfile.gettempdir()) for label, text in name[1]
    )


def _may_fall(name: Name) -> bool:
    """Whether the kernel's counter sometimes falls, which node_exporter hides."""
    return bool({("mode", "idle"), ("mode", "iowait")} & name[1])
