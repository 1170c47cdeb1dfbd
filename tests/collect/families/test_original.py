"""The original agent's families on this host; psutil is replaced only where no host would do."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pattoo_mp.collect import registry
from pattoo_mp.collect.families import processor
from pattoo_mp.collect.families._frequencies import by_processor
from pattoo_mp.collect.poller import Poller
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Layout, Poll, Value
from tests.support.procfs import ProcFS
from tests.support.sources import BY_DEFAULT, sources_of
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pattoo_mp.collect.source import Source

HOST = ("release", "version", "processor", "type", "cpus", "hostname")
MOUNT = (
    "disk_partition_device",
    "disk_partition_mountpoint",
    "disk_partition_fstype",
    "disk_partition_opts",
)
USAGE = "disk_partition_disk_usage_"

Mount = namedtuple("Mount", "device mountpoint fstype opts")


def polled(sources: Sequence[Source] = BY_DEFAULT) -> tuple[Poller, Layout, Poll]:
    """Poll this host."""
    poller = Poller(sources, ORIGIN, 1000)
    return poller, *poller.poll(1000)


def fields(prefix: str, record: Any) -> set[str]:  # noqa: ANN401 - psutil's tuples
    """Return the keys for one of psutil's named tuples."""
    return {f"{prefix}{name}" for name in record._fields}


def rows(layout: Layout) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return type and metadata keys, in order, by key."""
    return {s.key: (s.data_type, tuple(k for k, _ in s.metadata)) for s in layout.series}


def has_frequency() -> bool:
    """Whether this host reports its processor's frequency."""
    try:
        return bool(by_processor())
    except (OSError, NotImplementedError, RuntimeError):
        return False


def mounted(monkeypatch: pytest.MonkeyPatch, *mountpoints: str) -> list[Mount]:
    """Simulate these mounts; return them as psutil would."""
    mounts = [Mount(f"/dev/sd{n}", path, "ext4", "rw") for n, path in enumerate(mountpoints)]
    monkeypatch.setattr(psutil, "disk_partitions", lambda: mounts)
    return mounts


def usable(monkeypatch: pytest.MonkeyPatch, **failing: Exception) -> None:
    """Give every mount the root's usage, except those whose last part is a name in `failing`."""
    root = psutil.disk_usage("/")

    def usage(path: str) -> object:
        error = failing.get(path.rpartition("/")[2])
        if error is not None:
            raise error
        return root

    monkeypatch.setattr(psutil, "disk_usage", usage)


def mountpoints(layout: Layout) -> list[str]:
    """Return the mount points of a layout's series, each once."""
    return list(dict.fromkeys(dict(s.metadata)["disk_partition_mountpoint"] for s in layout.series))


def test_this_host_gives_every_figure_without_devices() -> None:
    """Processes, load, processor and memory: each key has its type and the host's metadata."""
    expected = dict.fromkeys(
        ("process_count", "load_average_01min", "load_average_05min", "load_average_15min"), INTEGER
    )
    expected |= {"cpu_frequency": FLOAT} if has_frequency() else {}
    expected |= dict.fromkeys(fields("cpu_times_percent_", psutil.cpu_times_percent()), FLOAT)
    expected |= dict.fromkeys(fields("cpu_times_", psutil.cpu_times()), COUNTER64)
    expected |= dict.fromkeys(fields("cpu_stats_", psutil.cpu_stats()), COUNTER64)
    expected |= dict.fromkeys(fields("memory_", psutil.virtual_memory()), INTEGER)
    expected |= dict.fromkeys(fields("swap_memory_", psutil.swap_memory()), INTEGER)
    expected |= {"swap_memory_sin": COUNTER64, "swap_memory_sout": COUNTER64}
    _, layout, _ = polled()
    found = {key: row for key, row in rows(layout).items() if row[1] == HOST}
    assert found == {key: (data_type, HOST) for key, data_type in expected.items()}


def test_this_host_gives_every_disk() -> None:
    """A series for each counter of each disk, except RAM disks and loop devices."""
    counters = psutil.disk_io_counters(perdisk=True)
    disks = [
        n for n in counters if not n.startswith("loop") and not n.removeprefix("ram").isdigit()
    ]
    _, layout, _ = polled(sources_of("disk_io"))
    found = [(s.key, s.data_type, s.metadata[-1]) for s in layout.series]
    assert found == [
        (f"disk_io_{name}", COUNTER64, ("disk_partition", disk))
        for disk in disks
        for name in counters[disk]._fields
    ]
    assert all(tuple(k for k, _ in s.metadata[:-1]) == HOST for s in layout.series)


def test_this_host_gives_every_interface() -> None:
    """A series for each counter of each network interface."""
    counters = psutil.net_io_counters(pernic=True)
    _, layout, _ = polled(sources_of("network"))
    found = [(s.key, s.data_type, s.metadata[-1]) for s in layout.series]
    assert found == [
        (f"network_io_{name}", COUNTER64, ("network_io_interface", interface))
        for interface, record in counters.items()
        for name in record._fields
    ]
    assert all(tuple(k for k, _ in s.metadata[:-1]) == HOST for s in layout.series)


def test_this_host_gives_every_partition() -> None:
    """The usage of each mount, with the mount's metadata before the host's."""
    _, layout, _ = polled(sources_of("partitions"))
    expected = {f"{USAGE}{name}" for name in ("total", "used", "free", "percent")}
    mounts = [m.mountpoint for m in psutil.disk_partitions() if "docker" not in m.mountpoint]
    assert set(mountpoints(layout)) <= set(mounts)
    assert {s.key for s in layout.series} in ({*expected}, set())
    assert all(row == (INTEGER, (*MOUNT, *HOST)) for row in rows(layout).values())


def test_this_host_gives_a_number_for_each_series() -> None:
    """As many values as series, and every value is a number."""
    _, layout, poll = polled()
    values = poll.values()
    assert len(values) == len(layout.series) > 20
    assert {type(value) for value in values} <= {int, float}


def test_all_series_of_this_host_are_different() -> None:
    """By key and metadata."""
    _, layout, _ = polled()
    assert len({(s.key, s.metadata) for s in layout.series}) == len(layout.series)


def test_an_unchanged_host_keeps_its_layout() -> None:
    """Two polls share one layout, so the text of its series is built only once."""
    poller, first, _ = polled(BY_DEFAULT)
    second, _ = poller.poll(2000)
    assert second is first


def shares_after(seconds: float) -> dict[str, float]:
    """Prime, wait for that much processor time, and return the shares of it."""
    registry.prime()
    start = sum(psutil.cpu_times())
    wait_for(lambda: sum(psutil.cpu_times()) >= start + seconds, what="processor time")
    _, layout, poll = polled(sources_of("processor"))
    return {
        series.key.removeprefix("cpu_times_percent_"): value or 0
        for series, value in zip(layout.series, poll.values(), strict=True)
        if series.key.startswith("cpu_times_percent_")
    }


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.5])
def test_the_shares_add_up_to_all_of_the_time(seconds: float) -> None:
    """However little processor time has passed since the last reading."""
    shares = shares_after(seconds)
    # `user` and `nice` already include the guests' time.
    whole = sum(share for name, share in shares.items() if not name.startswith("guest"))
    assert whole == pytest.approx(100, abs=1)


def test_shares_cover_the_time_between_two_readings() -> None:
    """Idle time that goes back counts as 0, and guests are not counted twice."""
    names = ("user", "nice", "idle", "guest")
    answers = iter([(10.0, 0.0, 90.0, 5.0), (10.3, 0.1, 89.0, 5.2), (10.3, 0.1, 89.0, 5.2)])
    shares = processor.Shares(lambda: dict(zip(names, next(answers), strict=True)))
    assert set(shares.ask().values()) == {0.0}
    assert shares.ask() == {"user": 75.0, "nice": 25.0, "idle": 0.0, "guest": 50.0}
    assert shares.ask() == {"user": 0.0, "nice": 0.0, "idle": 0.0, "guest": 0.0}


def test_ram_and_loop_disks_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like in the original agent. Disks with similar names are kept."""
    names = ("ram0", "ram15", "loop0", "loop12", "sda", "sda1", "nvme0n1", "zram0", "ramdisk")
    ProcFS(tmp_path, monkeypatch).disks(*names)
    _, layout, _ = polled(sources_of("disk_io"))
    disks = dict.fromkeys(dict(s.metadata)["disk_partition"] for s in layout.series)
    assert list(disks) == ["sda", "sda1", "nvme0n1", "zram0", "ramdisk"]


def test_docker_mounts_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come and go by the hundred. They are not noted either."""
    mounted(monkeypatch, "/", "/var/lib/docker/overlay2/x", "/data")
    usable(monkeypatch)
    poller, layout, _ = polled(sources_of("partitions"))
    assert mountpoints(layout) == ["/", "/data"]
    assert poller.left_out == {}


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "Permission denied"), OSError(5, "Input/output error"), ValueError("nul")],
)
def test_a_mount_that_gives_no_usage_is_left_out(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The other mounts are polled, and a note names it with the reason."""
    mounted(monkeypatch, "/", "/mnt/bad", "/data")
    usable(monkeypatch, bad=error)
    poller, layout, poll = polled(sources_of("partitions"))
    assert mountpoints(layout) == ["/", "/data"]
    assert len(poll.values()) == len(layout.series)
    assert poller.left_out == {"disk_partitions /mnt/bad": str(error)}


def test_a_mount_that_comes_or_goes_makes_a_new_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounts are listed at each poll."""
    mounted(monkeypatch, "/", "/data")
    usable(monkeypatch, data=OSError("stale"))
    poller, first, _ = polled(sources_of("partitions"))
    monkeypatch.undo()
    mounted(monkeypatch, "/", "/data")
    usable(monkeypatch)
    second, _ = poller.poll(2000)
    mounted(monkeypatch, "/data")
    third, _ = poller.poll(3000)
    assert [mountpoints(layout) for layout in (first, second, third)] == [
        ["/"],
        ["/", "/data"],
        ["/data"],
    ]
    assert poller.left_out == {}


def test_a_mount_listed_twice_is_one_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mounts of one file system on one mount point do not double its datapoints."""
    (mount,) = mounted(monkeypatch, "/data")
    monkeypatch.setattr(psutil, "disk_partitions", lambda: [mount, mount])
    usable(monkeypatch)
    _, layout, poll = polled(sources_of("partitions"))
    assert len(poll.values()) == len({s.key for s in layout.series}) == len(layout.series)


def test_a_mount_point_that_is_not_utf8_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are unchanged when the layout is read from the spool."""
    name = b"/mnt/caf\xe9".decode("utf-8", "surrogateescape")
    mounted(monkeypatch, name)
    usable(monkeypatch)
    _, layout, _ = polled(sources_of("partitions"))
    back = Layout.unpack(layout.packed)
    assert mountpoints(back) == [name]
    assert back.identifier == layout.identifier


def frequencies(
    monkeypatch: pytest.MonkeyPatch, answer: Mapping[int, float | Exception] | Exception
) -> tuple[Poller, dict[str, Value]]:
    """Poll the processor on a host that gives or raises this for its frequencies."""

    def ask() -> Mapping[int, float | Exception]:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(processor, "by_processor", ask)
    poller, layout, poll = polled(sources_of("processor"))
    return poller, dict(zip((s.key for s in layout.series), poll.values(), strict=True))


def test_the_frequency_is_the_mean_of_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """In MHz. A processor without one is named, and is no part of it."""
    answer: dict[int, float | Exception] = {0: 2596.0, 1: 1404.0, 2: OSError("busy")}
    poller, figures = frequencies(monkeypatch, answer)
    assert figures["cpu_frequency"] == 2000.0
    assert poller.left_out == {"processor.frequency 2": "busy"}


@pytest.mark.parametrize(
    "answer",
    [NotImplementedError("none"), FileNotFoundError("cpufreq"), RuntimeError("arm"),
     {0: ValueError("no frequency")}],
)  # fmt: skip
def test_a_host_without_a_frequency_gives_the_other_figures(
    monkeypatch: pytest.MonkeyPatch, answer: Mapping[int, float | Exception] | Exception
) -> None:
    """Many virtual hosts have none: only that source is left out, with a note."""
    poller, figures = frequencies(monkeypatch, answer)
    assert "cpu_frequency" not in figures
    assert {"cpu_times_user", "cpu_times_percent_user", "cpu_stats_interrupts"} <= set(figures)
    assert list(poller.left_out) == ["processor.frequency"]


def test_each_source_has_a_unique_name() -> None:
    """Notes on what is left out use it."""
    names = [source.name for source in BY_DEFAULT]
    assert len(set(names)) == len(names)
