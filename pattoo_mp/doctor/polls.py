"""Take polls of this host for a person: how long they take, and what they hold.

- `measure()` and the findings: the time that each metric family takes, the intervals that are safe,
  and filter patterns that match nothing (for --doctor).
- `snapshot()`: the values of one poll, source by source (for --once). It needs neither a
  configuration nor an identity.

Nothing is sent, and no file of a running agent is touched.
"""

from __future__ import annotations

import math
import os
import socket
import time
from dataclasses import dataclass, field
from fnmatch import filter as matching
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Self

from pattoo_mp.collect import host, registry
from pattoo_mp.collect.context import Plan
from pattoo_mp.collect.families import disk_io, network, temperatures
from pattoo_mp.collect.filters import Filter, Filters
from pattoo_mp.collect.mounts import mount_access
from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.settings import defaults, program_settings
from pattoo_mp.config.values import FIELDS, Config
from pattoo_mp.doctor.finding import Finding, note, ok, trouble
from pattoo_mp.doctor.host import current_name
from pattoo_mp.model import Origin, now_ms
from pattoo_mp.timelimit.deadline import NoAnswerError
from pattoo_mp.util import text
from pattoo_mp.util.text import counted
from pattoo_mp.util.users import groups_of
from pattoo_mp.wire.safe import normalise, safe_text, sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pattoo_mp.collect.commands.latest import Latest
    from pattoo_mp.collect.source import Sample, Shape, Source
    from pattoo_mp.collect.table import Table
    from pattoo_mp.model import Layout, Pair, Poll, Series, Value


_DEFAULTS: Final[dict[str, Any]] = {
    s.key: None for s in program_settings() if s.is_used
} | defaults()
#: The defaults of all settings. Those without one are None: directories, which no poll uses.
DEFAULT_CONFIG: Final = Config(**{FIELDS.get(name, name): _DEFAULTS[name] for name in _DEFAULTS})
#: The series of the original agent only: what is polled without a configuration.
DEFAULT: Final = Filters.of(DEFAULT_CONFIG)


# The time that each metric family takes, and the intervals that are safe on this host.

_REPEATS: Final = 5
#: A poll may take a quarter of its interval: the agent is to watch the host, not to load it.
_SHARE: Final = 4
_LEAST_INTERVAL_S: Final = 0.01
_ON_EVERY_HOST: Final = frozenset({"system", "processor", "memory"})


@dataclass(frozen=True, slots=True)
class Measured:
    """The seconds that each family and each whole poll took, the first poll first.

    `left_out` maps what the last poll left out to the reason. `layout` and `poll` are the last poll's.
    """

    families: Mapping[str, Sequence[float]]
    polls: Sequence[float]
    left_out: Mapping[str, str]
    layout: Layout
    poll: Poll


@dataclass(slots=True)
class _Timed:
    """A source that records the seconds that each of its answers took."""

    source: Source
    seconds: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.source.name

    def read(self) -> Sample:
        begun = time.perf_counter()
        try:
            return self.source.read()
        finally:
            self.seconds.append(time.perf_counter() - begun)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        return self.source.series(shape, host)


def measure(
    origin: Origin,
    interval_ms: int,
    filters: Filters = DEFAULT,
    shortest_s: float | None = None,
    latest: Latest | None = None,
) -> Measured:
    """Poll a few times as the collector does, with its time limits for sources that hang.

    `shortest_s` is the shortest interval in the configuration, if it is not `interval_ms`; `latest` are
    the answers of commands.
    """
    limit_s = registry.time_limit_s(shortest_s or interval_ms / 1000)
    plan = Plan(filters, limit_s, latest=latest)
    timed = [_Timed(source) for source in registry.sources_of(plan)]
    poller = Poller(timed, origin, interval_ms, plan.cpus)
    registry.prime()
    polls = []
    for _ in range(1 + _REPEATS):
        begun = time.perf_counter()
        layout, poll = poller.poll(now_ms())
        polls.append(time.perf_counter() - begun)
    return Measured(_by_family(timed), polls, poller.left_out, layout, poll)


def _by_family(timed: Sequence[_Timed]) -> dict[str, list[float]]:
    """Return the sum of each family's sources, poll by poll. Sources are named family.source."""
    sums: dict[str, list[float]] = {}
    for source in timed:
        family = source.name.partition(".")[0]
        before = sums.get(family, [0.0] * len(source.seconds))
        sums[family] = [sum(pair) for pair in zip(before, source.seconds, strict=True)]
    return sums


def family_findings(measured: Measured, interval_s: float, group: str = "") -> Iterator[Finding]:
    """Yield findings on each family, on what is left out, on whole polls, and on the interval.

    `group` names the families, if there are groups with different intervals.
    """
    for family, (first, *again) in measured.families.items():
        yield ok(family, f"{text.duration(median(again))}, {text.duration(first)} the first time")
    for name, why in measured.left_out.items():
        yield _left_out(name, why)
    yield from _silent_families(measured)
    first, *again = measured.polls
    yield ok(
        f"a poll every {interval_s:g} s" if group else "a whole poll",
        f"{counted(len(measured.layout.series), 'datapoint')} in {text.duration(median(again))}, "
        f"{text.duration(max(again))} at worst, {text.duration(first)} the first time",
    )
    subject = f"interval of {group}" if group else "polling_interval"
    yield _interval(subject, safe_interval_s(max(again)), interval_s)


def combined_finding(groups: Sequence[Measured], shortest_s: float) -> Finding:
    """Return whether the shortest interval keeps its ticks when polls of all groups are due at once."""
    worst_s = sum(max(measured.polls[1:]) for measured in groups)
    found = f"{text.duration(worst_s)} at worst, one after the other; the shortest interval is "
    found += f"{shortest_s:g} s"
    if worst_s < shortest_s:
        return ok("all polls at once", found)
    return trouble(
        "all polls at once",
        found,
        "raise the shortest interval: it loses ticks while the other polls run",
    )


def safe_interval_s(poll_s: float) -> float:
    """Return the shortest safe interval for polls that take `poll_s`, rounded up to 1, 2 or 5 and zeros."""
    least = max(_LEAST_INTERVAL_S, _SHARE * poll_s)
    power = 10.0 ** math.floor(math.log10(least) + 1e-9)
    step = next(step for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))
    return round(step * power, 6)


def _interval(subject: str, safe_s: float, interval_s: float) -> Finding:
    found = f"{interval_s:g} s; {safe_s:g} s or more is safe on this host"
    if interval_s >= safe_s:
        return ok(subject, found)
    return trouble(
        subject,
        found,
        f"set it to {safe_s:g} or more: a poll that takes too long makes the next one miss its tick",
    )


def _silent_families(measured: Measured) -> Iterator[Finding]:
    """Yield trouble for each family of the original agent of which polls hold nothing at all.

    Every Linux host has a processor and memory to report; a host may have no disk of its own.
    """
    sent = {series.key for series in measured.layout.series}
    for family in measured.families.keys() & _ON_EVERY_HOST:
        tables = [table for table in registry.tables() if table.name.partition(".")[0] == family]
        if not any(table.key(metric) in sent for table in tables for metric in table.metrics):
            yield trouble(
                "families",
                f"polls hold nothing of {family}",
                "find out what hides it, such as a container without the host's /proc",
            )


def _left_out(name: str, why: str) -> Finding:
    found = f"left out of the polls: {why}"
    if NoAnswerError.WORDS in why:
        return trouble(
            name, found,
            "restore what it waits for, or unmount it (umount --lazy); "
            "until then polls leave it out",
        )  # fmt: skip
    if name.startswith("commands "):
        advice = "run it as the agent's user, with few variables; polls go on"
        return note(name, found, advice)
    return note(name, found, "do nothing if you do not need it; polls go on")


# Filter patterns that match nothing on this host: a typing error, or a missing device.


def _names(filters: Filters) -> Mapping[str, Callable[[], Iterable[str]]]:
    """Return a function for each kind of filter that lists the names on this host."""
    paths = filters.paths
    mounts = mount_access(paths, filters.without_device).list_mounts
    every_mount = mount_access(paths, Filter()).list_mounts
    return {
        "filesystems_without_device": lambda: (mount.fstype for mount in every_mount()),
        "mounts": lambda: (mount.mountpoint for mount in mounts()),
        "filesystems": lambda: (mount.fstype for mount in mounts()),
        "disks": disk_io.read,
        "interfaces": network.read,
        "temperatures": temperatures.names,
    }


def filter_findings(config: Config) -> Iterator[Finding]:
    """Yield a note for each pattern that matches nothing on this host, except for the defaults."""
    for kind, names_of in _names(Filters.of(config)).items():
        settings = (kind, f"{kind}_include", f"{kind}_exclude")
        for setting in filter(partial(hasattr, config), settings):
            usual = getattr(DEFAULT_CONFIG, setting)
            given = [pattern for pattern in getattr(config, setting) if pattern not in usual]
            names = list(names_of()) if given else []
            for pattern in given:
                if not matching(names, pattern):
                    yield note(
                        setting,
                        f"{pattern!r} matches nothing on this host",
                        "compare it with the names that --once shows; a pattern must match a whole name",
                    )


# The snapshot of --once.

#: The time over which the processors' shares are measured. The kernel counts in hundredths of a
#: second, so a much shorter time would give coarse values.
PRIMING_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Figure:
    """One value as it would be sent, None if the server could not take it.

    `labels` is the metadata other than the host's, for example which disk or interface.
    """

    key: str
    data_type: int
    unit: str
    labels: tuple[Pair, ...]
    value: Value


@dataclass(frozen=True, slots=True)
class Answer:
    """The values of one source. `left_out` maps what it could not give to the reason."""

    table: Table
    figures: tuple[Figure, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The values of all sources at `timestamp_ms`. `host` is the metadata that all series carry."""

    timestamp_ms: int
    host: tuple[Pair, ...]
    answers: tuple[Answer, ...]


def snapshot(
    filters: Filters = DEFAULT, hostname: str | None = None, latest: Latest | None = None
) -> Snapshot:
    """Take a snapshot of this host, after waiting `PRIMING_S` for the processors' shares.

    `hostname` is the configured one, if any; `latest` are the answers of commands.
    """
    return Snapshots.of_host(filters, hostname, latest).take(now_ms())


#: A person does not wait longer for commands (s).
_COMMANDS_S: Final = 15.0


def answers_of_commands(filters: Filters, user: tuple[int, int]) -> Latest | None:
    """Run the commands once as `user` (its number and its group), and wait for their answers.

    They run only if we are that user, or root. None if they must not run, or if there are none.
    """
    uid, gid = user
    if os.geteuid() not in {0, uid}:
        return None
    other = None if os.geteuid() == uid else (uid, groups_of(uid, gid))
    latest = registry.latest_of(filters, other)
    if latest:
        latest.wait(_COMMANDS_S)
    return latest


def snapshot_of(
    sources: Sequence[Source], timestamp_ms: int, hostname: str | None = None
) -> Snapshot:
    """Take a snapshot of these sources, asking each as a poll does."""
    return Snapshots(sources, hostname).take(timestamp_ms)


class Snapshots:
    """Takes snapshot after snapshot of the same sources."""

    def __init__(self, sources: Sequence[Source], hostname: str | None = None) -> None:
        hostname = hostname or current_name() or socket.gethostname()
        tables = {table.name: table for table in registry.tables()}
        cpus = _number_of_cpus()
        self._host = normalise(host.metadata(hostname, cpus))
        self._pollers = [
            (tables[source.name], Poller((source,), Origin("", hostname), 1, lambda: cpus))
            for source in sources
        ]

    @classmethod
    def of_host(
        cls,
        filters: Filters = DEFAULT,
        hostname: str | None = None,
        latest: Latest | None = None,
    ) -> Self:
        """Make the sources of this host, and wait `PRIMING_S` for the processors' shares."""
        registry.prime()
        time.sleep(PRIMING_S)
        return cls(registry.sources(registry.LIMIT_S, filters, latest), hostname)

    def take(self, timestamp_ms: int) -> Snapshot:
        """Ask each source, as a poll does."""
        answers = (_answer(table, poller, timestamp_ms) for table, poller in self._pollers)
        return Snapshot(timestamp_ms, self._host, tuple(answers))


def _number_of_cpus() -> int | None:
    """Return the number of processors; if the host does not answer, of those that we may use."""
    try:
        return Plan(DEFAULT, registry.LIMIT_S).cpus()
    except NoAnswerError:
        return len(os.sched_getaffinity(0))


def _answer(table: Table, poller: Poller, timestamp_ms: int) -> Answer:
    layout, poll = poller.poll(timestamp_ms)
    return Answer(table, _figures(table, layout, poll), poller.left_out)


def _figures(table: Table, layout: Layout, poll: Poll) -> tuple[Figure, ...]:
    units = {table.key(metric): metric.unit for metric in table.metrics}
    return tuple(
        Figure(
            safe_text(series.key),
            series.data_type,
            units.get(series.key, ""),
            _labels(series),
            value if sendable(value) else None,
        )
        for series, value in zip(layout.series, poll.values(), strict=True)
    )


def _labels(series: Series) -> tuple[Pair, ...]:
    host_labels = {label.key for label in host.LABELS}
    return normalise(pair for pair in series.metadata if pair[0] not in host_labels)
