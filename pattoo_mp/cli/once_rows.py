"""The rows of `--once --watch`: figures, rates of counters, and the last minute of each.

`History` keeps the last minute of snapshots. `overview` has what a person looks for first, and
`details` all the rest, family by family. A counter is shown as its rate; one that stepped back, or that
was missing a moment ago, has none.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.cli.once import readable, scaled
from pattoo_mp.model import COUNTER64
from pattoo_mp.util.text import counted, duration, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.doctor.polls import Answer, Figure, Snapshot
    from pattoo_mp.model import Pair

    #: The key and the labels of a series.
    Name = tuple[str, tuple[Pair, ...]]

#: A minute: a snapshot is taken each second.
KEPT: Final = 60
_BIT_RATES: Final = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s")
#: A rate of time is a share of it.
_PER_SECOND: Final = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6}
#: No row takes more for its name.
_LABEL_WIDTH: Final = 36


@dataclass(frozen=True, slots=True)
class Row:
    """A line: a label, the newest figure, a note, and the last minute, oldest first (None: a gap).

    `top` is the greatest possible figure, if there is one. A heading has a label only.
    """

    label: str
    figure: str = ""
    note: str = ""
    points: tuple[float | None, ...] = ()
    top: float | None = None

    @property
    def is_heading(self) -> bool:
        """Whether it has neither a figure nor a past."""
        return not self.figure and not self.points


class History:
    """The last minute of each series, and the newest snapshot."""

    def __init__(self) -> None:
        self.newest: Snapshot | None = None
        self._counts: dict[Name, tuple[int, float]] = {}
        self._points: dict[Name, deque[float | None]] = {}
        self._taken = 0

    def add(self, taken: Snapshot) -> None:
        """Take a snapshot in. What it lacks is a gap."""
        self.newest = taken
        self._taken += 1
        found = {
            (figure.key, figure.labels): self._figure(figure, taken.timestamp_ms)
            for answer in taken.answers
            for figure in answer.figures
        }
        for name in found.keys() - self._points.keys():
            before = min(self._taken - 1, KEPT)
            self._points[name] = deque([None] * before, KEPT)
        for name, points in self._points.items():
            points.append(found.get(name))
        self._counts = {name: count for name, count in self._counts.items() if name in found}

    def points(self, key: str, labels: tuple[Pair, ...] = ()) -> tuple[float | None, ...]:
        """The last minute of a series, a counter's as its rate a second."""
        return tuple(self._points.get((key, labels), ()))

    def _figure(self, figure: Figure, timestamp_ms: int) -> float | None:
        if figure.data_type != COUNTER64 or figure.value is None:
            return figure.value
        name = (figure.key, figure.labels)
        before = self._counts.get(name)
        self._counts[name] = timestamp_ms, figure.value
        if before is None or timestamp_ms <= before[0] or figure.value < before[1]:
            return None
        return (figure.value - before[1]) * 1000 / (timestamp_ms - before[0])


# What a person looks for first.


def overview(history: History) -> list[Row]:
    """Processor, load, memory, swap, disks, network; pressure and temperatures where they are polled."""
    assert history.newest is not None  # noqa: S101 - the screen adds one before it shows any
    by_key: dict[str, list[Figure]] = {}
    for answer in history.newest.answers:
        for figure in answer.figures:
            by_key.setdefault(figure.key, []).append(figure)
    return [row for make in _OVERVIEW for row in make(history, by_key)]


def _processor(history: History, by_key: dict[str, list[Figure]]) -> Iterator[Row]:
    idle = history.points("cpu_times_percent_idle")
    if "cpu_times_percent_idle" not in by_key:
        return
    busy = tuple(None if point is None else 100.0 - point for point in idle)
    shares = []
    for name in ("user", "system", "iowait", "steal"):
        (share,) = history.points(f"cpu_times_percent_{name}")[-1:] or (None,)
        if share or (share is not None and name in {"user", "system"}):
            shares.append(f"{name} {share:.1f}")
    yield Row("Processor", _percent(busy[-1]), ", ".join(shares), busy, 100.0)


def _load(history: History, by_key: dict[str, list[Figure]]) -> Iterator[Row]:
    if "load_average_01min" not in by_key:
        return
    points = history.points("load_average_01min")
    longer = [
        f"{minutes:g} min {by_key[key][0].value:.2f}"
        for minutes, key in ((5, "load_average_05min"), (15, "load_average_15min"))
        if key in by_key and by_key[key][0].value is not None
    ]
    yield Row("Load", _number(points[-1]), ", ".join(longer), points)


def _used(label: str, prefix: str) -> Callable[[History, dict[str, list[Figure]]], Iterator[Row]]:
    """Rows of what is in use of something: one, or one for each device."""

    def rows(history: History, by_key: dict[str, list[Figure]]) -> Iterator[Row]:
        sizes = {
            (figure.key, figure.labels): figure.value
            for end in ("used", "total")
            for figure in by_key.get(f"{prefix}{end}", ())
        }
        for figure in by_key.get(f"{prefix}percent", ()):
            points = history.points(figure.key, figure.labels)
            used = sizes.get((f"{prefix}used", figure.labels))
            total = sizes.get((f"{prefix}total", figure.labels))
            note = ""
            if total == 0:
                note = "none"
            elif used is not None and total is not None:
                note = f"{' '.join(scaled(used))} of {' '.join(scaled(total))}"
            of = dict(figure.labels).get("disk_partition_mountpoint", "")
            yield Row(_label(label, of), _percent(points[-1]), note, points, 100.0)

    return rows


def _disks(history: History, by_key: dict[str, list[Figure]]) -> Iterator[Row]:
    for way in ("read", "write"):
        for figure in by_key.get(f"disk_io_{way}_bytes", ()):
            points = history.points(figure.key, figure.labels)
            (count,) = history.points(f"disk_io_{way}_count", figure.labels)[-1:] or (None,)
            note = "" if count is None else f"{count:,.0f} {way}s/s"
            label = _label(f"Disk {way}", _of(figure))
            yield Row(label, _rate(points[-1], "bytes"), note, points)


def _network(history: History, by_key: dict[str, list[Figure]]) -> Iterator[Row]:
    for way, end in (("received", "recv"), ("sent", "sent")):
        for figure in by_key.get(f"network_io_bytes_{end}", ()):
            points = history.points(figure.key, figure.labels)
            (count,) = history.points(f"network_io_packets_{end}", figure.labels)[-1:] or (None,)
            note = "" if count is None else f"{count:,.0f} packets/s"
            label = _label(f"Network {way}", _of(figure))
            yield Row(label, _bits(points[-1]), note, points)


def _pressure(history: History, by_key: dict[str, list[Figure]]) -> Iterator[Row]:
    for of, words in (("cpu", "processor"), ("memory", "memory"), ("io", "disks")):
        key = f"pressure_{of}_some_avg10"
        if key in by_key:
            points = history.points(key)
            note = f"of the time some tasks wait for {words}"
            yield Row(f"Pressure: {words}", _percent(points[-1]), note, points, 100.0)


def _temperatures(history: History, by_key: dict[str, list[Figure]]) -> Iterator[Row]:
    for figure in by_key.get("temperature_current", ()):
        points = history.points(figure.key, figure.labels)
        yield Row(_label("Temperature", _of(figure)), f"{_number(points[-1])} °C", "", points)


_OVERVIEW: Final = (
    _processor, _load, _used("Memory", "memory_"), _used("Swap", "swap_memory_"),
    _used("Disk", "disk_partition_disk_usage_"), _disks, _network, _pressure, _temperatures,
)  # fmt: skip
#: What the overview shows, or what it is computed from.
_COVERED: Final = frozenset({
    "cpu_times_percent_idle", "cpu_times_percent_user", "cpu_times_percent_system",
    "load_average_01min", "load_average_05min", "load_average_15min",
    "memory_percent", "memory_used", "memory_total",
    "swap_memory_percent", "swap_memory_used", "swap_memory_total",
    "disk_partition_disk_usage_percent", "disk_partition_disk_usage_used",
    "disk_partition_disk_usage_total", "disk_io_read_bytes", "disk_io_write_bytes",
    "disk_io_read_count", "disk_io_write_count", "network_io_bytes_recv", "network_io_bytes_sent",
    "network_io_packets_recv", "network_io_packets_sent", "pressure_cpu_some_avg10",
    "pressure_memory_some_avg10", "pressure_io_some_avg10", "temperature_current",
})  # fmt: skip


# All the rest.


def details(history: History) -> list[Row]:
    """What the overview does not show, below the title of each family, and what is left out."""
    assert history.newest is not None  # noqa: S101
    return [row for answer in history.newest.answers for row in _family(history, answer)]


def _family(history: History, answer: Answer) -> Iterator[Row]:
    rows = [_detail(history, figure) for figure in answer.figures if figure.key not in _COVERED]
    lacking = [
        Row(f"  {printable(what)}", "left out", printable(why))
        for what, why in answer.left_out.items()
    ]
    if rows or lacking:
        yield Row(answer.table.title)
        yield from rows
        yield from lacking


def _detail(history: History, figure: Figure) -> Row:
    points = history.points(figure.key, figure.labels)
    if figure.data_type == COUNTER64:
        shown = _rate(points[-1], figure.unit)
    else:
        shown = " ".join(readable(figure)).rstrip()
    of = _of(figure)
    return Row(f"  {printable(figure.key)}", shown, of, points)


def _of(figure: Figure) -> str:
    return ", ".join(printable(value) for _, value in figure.labels[:2])


def _label(what: str, of: str) -> str:
    label = f"{what} {printable(of)}".rstrip()
    return label if len(label) <= _LABEL_WIDTH else f"{label[: _LABEL_WIDTH - 1]}…"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _bits(bytes_a_second: float | None) -> str:
    if bytes_a_second is None:
        return "-"
    rate, power = bytes_a_second * 8, 0
    while rate >= 1000 and power < len(_BIT_RATES) - 1:
        rate, power = rate / 1000, power + 1
    return f"{rate:,.{1 if power else 0}f} {_BIT_RATES[power]}"


def _rate(per_second: float | None, unit: str) -> str:
    """A rate with its unit; of time, as a share."""
    if per_second is None:
        return "-"
    if unit == "bytes":
        size, word = scaled(round(per_second))
        return f"{size} {word}/s"
    if unit in _PER_SECOND:
        return _percent(100 * per_second / _PER_SECOND[unit])
    return f"{per_second:,.{0 if per_second >= 100 else 1}f} {unit}/s"


# The same in one line, and the host.


def as_line(history: History, moment: str) -> str:
    """The most important figures in one line, for a pipe or a simple terminal."""
    found = [f"{row.label} {row.figure}" for row in overview(history)]
    return f"{moment}  {', '.join(found) or 'no figures'}"


def host_line(taken: Snapshot) -> str:
    """The host's name, its kernel and processors, and since when it runs where this is polled."""
    host = {name: printable(value) for name, value in taken.host}
    words = [f"{host.get('type', '')} {host.get('release', '')}".strip()]
    if host.get("cpus", "").isdecimal():
        words.append(counted(host["cpus"], "processor"))
    up = [f.value for a in taken.answers for f in a.figures if f.key == "uptime_seconds"]
    words += [f"up {duration(value)}" for value in up if value is not None]
    return ", ".join(filter(None, [host.get("hostname", ""), *words]))
