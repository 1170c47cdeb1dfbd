"""One look at the host for a person: what a poll would hold, source by source. Nothing is sent.

It needs neither a configuration nor an identity, and touches no file of an agent that runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host, registry
from pattoo_mp.collect.poller import Poller
from pattoo_mp.collect.unconfigured import DEFAULT
from pattoo_mp.identity import host_name
from pattoo_mp.model import Origin
from pattoo_mp.wire.safe import normalise, safe_text, sendable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pattoo_mp.collect.filters import Wanted
    from pattoo_mp.collect.source import Source
    from pattoo_mp.collect.table import Table
    from pattoo_mp.model import Layout, Pair, Poll, Series, Value

#: The time that the processors' shares are measured over. The kernel counts in hundredths of a
#: second, so much less than this would give coarse figures.
PRIMING_S: Final = 0.5
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One value as it would be sent; None where the server could not take it.

    `labels` is the metadata beside the host's: which disk, which interface.
    """

    key: str
    data_type: int
    unit: str
    labels: tuple[Pair, ...]
    value: Value


@dataclass(frozen=True, slots=True)
class Answer:
    """What one source gave. `left_out` names what it did not give, and why."""

    table: Table
    figures: tuple[Figure, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Look:
    """The whole host at `timestamp_ms`. `host` is the metadata that every series carries."""

    timestamp_ms: int
    host: tuple[Pair, ...]
    answers: tuple[Answer, ...]


def look(wanted: Wanted = DEFAULT, hostname: str | None = None) -> Look:
    """Ask this host for what is wanted, after the moment that the shares of the processors' time need.

    `hostname` is the setting.
    """
    registry.prime()
    time.sleep(PRIMING_S)
    sources = registry.sources(registry.LIMIT_S, wanted)
    return look_at(sources, time.time_ns() // _NS_PER_MS, hostname)


def look_at(sources: Sequence[Source], timestamp_ms: int, hostname: str | None = None) -> Look:
    """Ask `sources`, each as a poll does."""
    hostname = host_name(hostname)
    tables = {table.name: table for table in registry.tables()}
    return Look(
        timestamp_ms,
        normalise(host.metadata(hostname, host.cpus())),
        tuple(
            _answer(tables[source.name], Poller((source,), Origin("", hostname), 1), timestamp_ms)
            for source in sources
        ),
    )


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
    of_the_host = {label.key for label in host.LABELS}
    return normalise(pair for pair in series.metadata if pair[0] not in of_the_host)
