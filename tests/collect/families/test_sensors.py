"""Temperatures and fans, with simulated answers of psutil."""

from __future__ import annotations

from collections import namedtuple
from threading import Event
from typing import TYPE_CHECKING, Any

import psutil

from pattoo_mp.collect.filters import Filter
from pattoo_mp.collect.poller import Poller
from tests.support.hosts import polled
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

Heat = namedtuple("Heat", "label current high critical")
Fan = namedtuple("Fan", "label current")

LAPTOP = {
    "coretemp": [Heat("Package id 0", 61.0, 80.0, 100.0), Heat("Core 0", 58.0, 80.0, 100.0)],
    "nvme": [Heat("Composite", 38.85, 81.85, 84.85), Heat("Composite", 41.0, None, None)],
    "acpitz": [Heat("", 0.0, None, None)],
}


def poll_of(monkeypatch: pytest.MonkeyPatch, chips: Mapping[str, Any], **filters: Filter) -> Any:  # noqa: ANN401 - a poll
    """Poll both families on a host with these sensors."""
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: chips)
    monkeypatch.setattr(psutil, "sensors_fans", lambda: {"thinkpad": [Fan("", 3500), Fan("", 0)]})
    return polled("temperatures", "fans", **filters)


def test_each_sensor_has_a_unique_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chip and its label, and a number where two disks are the same model."""
    found = poll_of(monkeypatch, LAPTOP)
    heat = {s.metadata[-1][1]: v for s, v in found.series.items() if s.key == "temperature_current"}
    assert heat == {
        "coretemp Package id 0": 61.0, "coretemp Core 0": 58.0,
        "nvme Composite": 38.85, "nvme Composite 2": 41.0, "acpitz": 0.0,
    }  # fmt: skip
    fans = {s.metadata[-1][1]: v for s, v in found.series.items() if s.key == "fan_speed"}
    assert fans == {"thinkpad": 3500, "thinkpad 2": 0}


def test_a_limit_that_a_sensor_lacks_has_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is not sent."""
    found = poll_of(monkeypatch, {"acpitz": LAPTOP["acpitz"]})
    assert [v for s, v in found.series.items() if s.key.startswith("temp")] == [0.0, None, None]


def test_filtered_sensors_are_omitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns match the whole name."""
    filters = Filter(("coretemp *", "nvme*"), ("* Core *",))
    found = poll_of(monkeypatch, LAPTOP, temperatures=filters)
    names = {s.metadata[-1][1] for s in found.series if s.key == "temperature_current"}
    assert names == {"coretemp Package id 0", "nvme Composite", "nvme Composite 2"}


def test_a_host_without_sensors_leaves_the_families_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as most virtual hosts."""
    monkeypatch.setattr(psutil, "sensors_temperatures", dict)
    monkeypatch.setattr(psutil, "sensors_fans", dict)
    assert polled("temperatures", "fans").left_out == {
        "temperatures": "NotImplementedError: the host reports no temperature",
        "fans": "NotImplementedError: the host reports no fan",
    }


def test_a_sensor_that_hangs_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out, and the poll continues with the rest."""
    answer = Event()
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: answer.wait(60))
    poller = Poller(sources_of("temperatures", "uptime", limit_s=0.1), ORIGIN, 1000)
    layout, _ = poller.poll(1000)
    answer.set()
    assert [series.key for series in layout.series] == ["uptime_seconds", "uptime_boot_time"]
    assert poller.left_out == {"temperatures": "NoAnswerError: no answer within 0.1 s"}
