"""The poller: whatever a source does, the others go on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pattoo_mp.collect.poller import Groups, Poller
from pattoo_mp.collect.source import Devices, Fields, Sample
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Layout, Series
from tests.support.configs import config_in
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pattoo_mp.collect.source import Shape
    from pattoo_mp.model import Pair, Value


LOGGER = "pattoo_mp.collect.poller"
DISKS = Table("disks", "Disks", "disk_", COUNTER64, labels=(Label("disk", "Disk", "Its name."),))


@dataclass
class Answer:
    """What a test source returns or raises. It can change between polls."""

    given: Mapping[str, Value] | Exception = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def ask(self) -> Mapping[str, Value]:
        """Answer in place of psutil."""
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


@dataclass
class Parts:
    """A source without values, which only leaves parts out."""

    left_out: dict[str, str]
    name: str = "parts"

    def read(self) -> Sample:
        """Return no values."""
        return Sample((), (), self.left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return no series."""
        del shape, host
        return []


def source(name: str, answer: Answer) -> Fields:
    """Return a source of single figures."""
    return Fields(Table(name, name, f"{name}_", INTEGER), answer.ask)


def keys(layout: Layout) -> list[str]:
    """Return the keys of a layout, in order."""
    return [series.key for series in layout.series]


def records(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """Return and clear the log messages about parts that are left out."""
    found = [
        (record.levelno, record.getMessage())
        for record in caplog.records
        if "left out" in record.getMessage()
    ]
    caplog.clear()
    return found


def test_values_are_in_the_order_of_the_series() -> None:
    """In the order of the sources, and of the fields of each."""
    one, two = Answer({"b": 1, "a": 2}), Answer({"c": 3.5, "d": None})
    layout, poll = Poller([source("one", one), source("two", two)], ORIGIN, 1000).poll(7000)
    assert keys(layout) == ["one_b", "one_a", "two_c", "two_d"]
    assert poll.values() == [1, 2, 3.5, None]


def test_a_poll_carries_its_time_and_refers_to_its_layout() -> None:
    """The time is that of the tick."""
    layout, poll = Poller([source("one", Answer({"a": 1}))], ORIGIN, 1000).poll(7000)
    assert poll.timestamp_ms == 7000
    assert poll.layout_id == layout.identifier
    assert (layout.origin, layout.interval_ms) == (ORIGIN, 1000)


def test_equal_shapes_keep_the_layout() -> None:
    """As long as the host gives the same fields, the layout is the same object."""
    answer = Answer({"a": 1})
    poller = Poller([source("one", answer)], ORIGIN, 1000)
    first, _ = poller.poll(1000)
    answer.given = {"a": 2}
    second, poll = poller.poll(2000)
    assert second is first
    assert poll.values() == [2]


@pytest.mark.parametrize("given", [{"a": 1, "b": 2}, {"b": 1}, {}])
def test_a_changed_shape_makes_a_new_layout(given: dict[str, Value]) -> None:
    """A field that comes, goes, or changes its name."""
    answer = Answer({"a": 1})
    poller = Poller([source("one", answer)], ORIGIN, 1000)
    first, _ = poller.poll(1000)
    answer.given = given
    second, poll = poller.poll(2000)
    assert second.identifier != first.identifier
    assert keys(second) == [f"one_{name}" for name in given]
    assert poll.values() == list(given.values())


def test_a_device_that_comes_makes_a_new_layout() -> None:
    """A new disk is in the next poll. Once it is gone, the layout is the old one again."""
    counters = psutil.disk_io_counters(perdisk=False) or psutil.virtual_memory()
    devices = {"sda": counters}
    disks = Devices(DISKS, lambda: devices)
    poller = Poller([disks], ORIGIN, 1000)
    first, _ = poller.poll(1000)
    devices["sdb"] = counters
    second, poll = poller.poll(2000)
    del devices["sdb"]
    third, _ = poller.poll(3000)
    assert len(second.series) == 2 * len(first.series)
    assert poll.values() == [*counters, *counters]
    assert [s.metadata[-1] for s in second.series[:: len(counters)]] == [
        ("disk", "sda"),
        ("disk", "sdb"),
    ]
    assert third == first


def test_a_device_that_comes_or_goes_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """So the reason for a missing chart, and its time, can be found there."""
    caplog.set_level(logging.INFO, LOGGER)
    counters = psutil.virtual_memory()
    devices = {"sda": counters}
    poller = Poller([Devices(DISKS, lambda: devices)], ORIGIN, 1000)
    poller.poll(1000)
    devices["sdb"] = devices.pop("sda")
    poller.poll(2000)
    first, second = (record.getMessage() for record in caplog.records)
    assert first == f"A poll has {len(counters)} datapoints."
    assert second == f"A poll has {len(counters)} datapoints; new: disk sdb; gone: disk sda."


def test_the_log_names_some_of_many_new_devices_and_counts_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A line of the log must not hold a thousand names."""
    caplog.set_level(logging.INFO, LOGGER)
    devices = {"sda": psutil.virtual_memory()}
    poller = Poller([Devices(DISKS, lambda: devices)], ORIGIN, 1000)
    poller.poll(1000)
    devices |= {f"x{number:02}": devices["sda"] for number in range(25)}
    poller.poll(2000)
    message = caplog.records[-1].getMessage()
    assert message.endswith("disk x18, disk x19 and 5 more.")


def test_a_source_without_devices_gives_nothing() -> None:
    """A host without disks is not an error."""
    poller = Poller([Devices(DISKS, dict)], ORIGIN, 1000)
    layout, poll = poller.poll(1000)
    assert (layout.series, poll.values(), poller.left_out) == ((), [], {})


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), KeyError("x"), ZeroDivisionError(), ValueError("y")]
)
def test_a_source_that_raises_is_left_out(error: Exception) -> None:
    """Whatever it raises, the others are polled, and the reason is given."""
    bad, good = Answer(error), Answer({"a": 1})
    poller = Poller([source("bad", bad), source("good", good)], ORIGIN, 1000)
    layout, poll = poller.poll(1000)
    assert keys(layout) == ["good_a"]
    assert poll.values() == [1]
    assert poller.left_out == {"bad": f"{type(error).__name__}: {error}"}


def test_a_source_is_back_as_soon_as_it_answers() -> None:
    """At its position in the order, in the very next poll."""
    bad, good = Answer({"a": 1}), Answer({"a": 2})
    poller = Poller([source("bad", bad), source("good", good)], ORIGIN, 1000)
    first, _ = poller.poll(1000)
    bad.given = OSError("gone")
    poller.poll(2000)
    bad.given = {"a": 3}
    again, poll = poller.poll(3000)
    assert again == first
    assert poll.values() == [3, 2]
    assert poller.left_out == {}


def test_a_source_that_raises_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A broken disk does not fill the log with a line for each poll."""
    caplog.set_level(logging.INFO, LOGGER)
    poller = Poller([source("bad", Answer(OSError("gone")))], ORIGIN, 1000)
    poller.poll(1000)
    assert records(caplog) == [
        (logging.WARNING, "bad is left out of the polls: OSError: gone"),
    ]
    poller.poll(2000)
    poller.poll(3000)
    assert records(caplog) == []


def test_a_source_that_is_back_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Once. If it fails again, that is logged again."""
    caplog.set_level(logging.INFO, LOGGER)
    answer = Answer(OSError("gone"))
    poller = Poller([source("bad", answer)], ORIGIN, 1000)
    poller.poll(1000)
    caplog.clear()
    answer.given = {"a": 1}
    poller.poll(2000)
    assert records(caplog) == [(logging.INFO, "bad is no longer left out.")]
    poller.poll(3000)
    assert records(caplog) == []
    answer.given = OSError("gone again")
    poller.poll(4000)
    assert records(caplog) == [
        (logging.WARNING, "bad is left out of the polls: OSError: gone again"),
    ]


def test_parts_of_a_source_are_left_out_by_name(caplog: pytest.LogCaptureFixture) -> None:
    """A source may give some parts and name the missing ones. Each of those is logged once."""
    caplog.set_level(logging.INFO, LOGGER)
    parts = Parts({"parts /a": "busy"})
    poller = Poller([parts], ORIGIN, 1000)
    poller.poll(1000)
    parts.left_out = {"parts /a": "busy", "parts /b": "gone"}
    poller.poll(2000)
    assert poller.left_out == {"parts /a": "busy", "parts /b": "gone"}
    parts.left_out = {"parts /b": "gone"}
    poller.poll(3000)
    assert [message for _, message in records(caplog)] == [
        "parts /a is left out of the polls: busy",
        "parts /b is left out of the polls: gone",
        "parts /a is no longer left out.",
    ]


def test_left_out_parts_can_be_sent_to_control() -> None:
    """Even if the name or the reason has bytes that are not UTF-8."""
    poller = Poller(
        [Parts({"parts /mnt/\udcff": "no \udcfe"}), source("bad", Answer(OSError("\udcfd")))],
        ORIGIN,
        1000,
    )
    poller.poll(1000)
    collector, control = Link.pair()
    collector.send(Kind.NOTE, poller.left_out)
    expected = {"parts /mnt/\\xff": "no \\xfe", "bad": "OSError: \\xfd"}
    assert control.receive() == [[Kind.NOTE, expected]]
    collector.close()
    control.close()


def test_a_poller_without_sources_polls_nothing() -> None:
    """No sources, no series, and no error."""
    layout, poll = Poller([], ORIGIN, 1000).poll(1000)
    assert (layout.series, poll.values()) == ((), [])


def test_every_series_has_the_metadata_of_its_host() -> None:
    """In the order of the checksum."""
    layout, _ = Poller([source("one", Answer({"a": 1}))], ORIGIN, 1000).poll(1000)
    names = [name for name, _ in layout.series[0].metadata]
    assert names == ["release", "version", "processor", "type", "cpus", "hostname"]
    assert dict(layout.series[0].metadata)["hostname"] == ORIGIN.hostname
    assert dict(layout.series[0].metadata)["cpus"] == str(psutil.cpu_count())


def test_a_processor_that_comes_makes_a_new_layout() -> None:
    """If a virtual host gets more processors, the metadata change with the next poll."""
    number = [2]
    poller = Poller([source("one", Answer({"a": 1}))], ORIGIN, 1000, lambda: number[0])
    before, _ = poller.poll(1000)
    number[0] = 4711
    after, _ = poller.poll(2000)
    same, _ = poller.poll(3000)
    assert after.identifier != before.identifier
    assert dict(after.series[0].metadata)["cpus"] == "4711"
    assert same is after


def test_a_number_of_processors_that_is_not_given_stays_the_last_known_one() -> None:
    """A new number would make all series new ones. What is left out has a note."""
    numbers = iter([3])
    poller = Poller([source("one", Answer({"a": 1}))], ORIGIN, 1000, lambda: next(numbers))
    before, _ = poller.poll(1000)
    after, _ = poller.poll(2000)
    assert after is before
    assert poller.left_out == {"processors": "StopIteration: "}


def test_a_host_with_an_unknown_number_of_processors_is_polled() -> None:
    """If psutil does not know it, the metadata says None, like the original agent's."""
    unknown = Poller([source("one", Answer({"a": 1}))], ORIGIN, 1000, lambda: None)
    layout, poll = unknown.poll(1000)
    assert dict(layout.series[0].metadata)["cpus"] == "None"
    assert poll.values() == [1]


def test_single_fields_may_have_another_type() -> None:
    """The type of a table is for all fields that have no line of their own."""
    fields = Fields(
        Table("f", "F", "f_", INTEGER, (Metric("b", FLOAT, "bits", "B", "A bit."),)),
        lambda: {"a": 1, "b": 2.5},
    )
    layout, _ = Poller([fields], ORIGIN, 1000).poll(1000)
    assert [(s.key, s.data_type) for s in layout.series] == [("f_a", INTEGER), ("f_b", FLOAT)]


# Groups of families, each with its own interval.

NOW_MS = 1_700_000_000_000


def groups_in(home: Path, **more: Any) -> Groups:  # noqa: ANN401 - whatever a setting holds
    """Return the groups of a configuration."""
    return Groups(ORIGIN, config_in(home, **more), {})


def keys_of_groups(groups: Groups, interval_ms: int) -> set[str]:
    """Poll a group, and return the keys of its series."""
    layout, poll = groups.poll(interval_ms, NOW_MS)
    assert (layout.interval_ms, poll.timestamp_ms) == (interval_ms, NOW_MS)
    return {series.key for series in layout.series}


def test_without_own_intervals_all_families_are_polled_together(home: Path) -> None:
    """In one poll, like the original."""
    groups = groups_in(home)
    assert groups.intervals_ms == {100}
    assert {"memory_total", "process_count", "cpu_stats_interrupts"} <= keys_of_groups(groups, 100)


def test_the_polls_of_all_groups_are_those_of_one_group(home: Path) -> None:
    """Each series is in exactly one of them."""
    together = keys_of_groups(groups_in(home), 100)
    own = {"memory": 200, "network": 200, "processor": 300}
    apart = groups_in(home, intervals=own)
    found = [keys_of_groups(apart, interval_ms) for interval_ms in (100, 200, 300)]
    assert set.union(*found) == together
    assert sum(map(len, found)) == len(together)


def test_a_family_is_in_its_group(home: Path) -> None:
    """And in no other. One that is off is in none."""
    groups = groups_in(home, families=("agent",), intervals={"agent": 200})
    assert (groups.has("agent", 200), groups.has("agent", 100)) == (True, False)
    groups.change(config_in(home, families_off=ORIGINAL))
    assert not groups.has("memory", 100)
    assert keys_of_groups(groups, 100) == set()


def test_families_move_between_groups(home: Path) -> None:
    """To a new one, and back. The others go on."""
    groups = groups_in(home)
    groups.change(config_in(home, intervals={"memory": 200}))
    assert groups.intervals_ms == {100, 200}
    assert "memory_total" in keys_of_groups(groups, 200) - keys_of_groups(groups, 100)
    groups.change(config_in(home))
    assert groups.intervals_ms == {100}
    assert "memory_total" in keys_of_groups(groups, 100)


def test_groups_that_swap_intervals_keep_their_families(home: Path) -> None:
    """Each goes on at the other's interval."""
    groups = groups_in(home, intervals={"memory": 200})
    groups.change(config_in(home, interval_ms=200, intervals={"memory": 100}))
    assert "memory_total" in keys_of_groups(groups, 100) - keys_of_groups(groups, 200)


def test_left_out_parts_of_all_groups_are_reported_together(home: Path) -> None:
    """Whatever group they belong to."""
    groups = groups_in(
        home,
        families=("batteries", "cgroup", "textfile"),
        intervals={"batteries": 200, "textfile": 300},
    )
    for interval_ms in groups.intervals_ms:
        groups.poll(interval_ms, NOW_MS)
    every = groups_in(home, families=("batteries", "cgroup", "textfile"))
    every.poll(100, NOW_MS)
    assert groups.left_out == every.left_out
    assert "textfile" in groups.left_out  # no directory is set
