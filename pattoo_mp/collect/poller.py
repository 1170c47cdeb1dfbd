"""Queries all sources and makes a `Poll` of their answers. A source that fails is left out.

`Poller` polls the sources of one interval. `Groups` has a poller for each interval.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from pattoo_mp.collect import host, registry
from pattoo_mp.collect.changes import LayoutLog, LeftOutLog
from pattoo_mp.collect.context import Plan
from pattoo_mp.collect.filters import Filters
from pattoo_mp.collect.layouts import LayoutMaker, own_pairs
from pattoo_mp.model import Layout, Poll
from pattoo_mp.wire.safe import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.collect.commands.latest import Latest
    from pattoo_mp.collect.context import Watch
    from pattoo_mp.collect.source import Sample, Shape, Source
    from pattoo_mp.config.values import Config
    from pattoo_mp.model import Origin, Value
    from pattoo_mp.timelimit.succession import Succession

_LOG = logging.getLogger(__name__)


class Poller:
    """Polls `sources` for `origin`. `left_out` is what the host did not give last time, and why.

    `interval_ms` may change between two polls. The next poll then has a new layout. `cpus` returns
    the number of processors.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        origin: Origin,
        interval_ms: int,
        cpus: Callable[[], int | None] | None = None,
    ) -> None:
        self._origin = origin
        self.interval_ms = interval_ms
        self._shapes: list[Shape | None] = []
        self._cpus: int | None = None
        self._layout = Layout(origin, interval_ms, ())
        self._layout_log = LayoutLog(_LOG)
        self._left_out_log = LeftOutLog(_LOG)
        self.left_out: dict[str, str] = {}
        self.change_sources(sources, cpus)

    def change_sources(
        self, sources: Sequence[Source], cpus: Callable[[], int | None] | None = None
    ) -> None:
        """Use other sources from the next poll on."""
        self.sources = sources
        self._count_cpus = cpus or host.cpus
        self._shapes = []  # shapes of other sources may be equal
        self._maker = LayoutMaker()

    def poll(self, timestamp_ms: int) -> tuple[Layout, Poll]:
        """Query the host now. The poll carries `timestamp_ms`."""
        shapes: list[Shape | None] = []
        values: list[Value] = []
        left_out: dict[str, str] = {}
        with host.one_moment():
            answers = [_read(source) for source in self.sources]
        for source, answer in zip(self.sources, answers, strict=True):
            if isinstance(answer, Exception):
                left_out[source.name] = _words(answer)
                shapes.append(None)
                continue
            shapes.append(answer.shape)
            values += answer.values
            left_out |= answer.left_out
        cpus = self._number_of_cpus(left_out)
        self._note_left_out({safe_text(name): safe_text(why) for name, why in left_out.items()})
        known = (self._shapes, self._cpus, self._layout.interval_ms)
        if (shapes, cpus, self.interval_ms) != known:
            self._shapes, self._cpus = shapes, cpus
            self._layout = self._new_layout()
        self._layout_log.log_if_due()
        self._left_out_log.log_if_due()
        return self._layout, Poll.of(self._layout, timestamp_ms, values)

    def _number_of_cpus(self, left_out: dict[str, str]) -> int | None:
        """Return the number of processors, or the last known one if the host does not answer."""
        try:
            return self._count_cpus()
        except Exception as error:  # noqa: BLE001 - as for a source
            left_out["processors"] = _words(error)
            return self._cpus or len(os.sched_getaffinity(0))

    def _new_layout(self) -> Layout:
        metadata = host.metadata(self._origin.hostname, self._cpus)
        maker = self._maker
        layout = maker.make(self.sources, self._shapes, self._origin, self.interval_ms, metadata)
        self._layout_log.changed(
            layout, lambda: own_pairs(self.sources, [*maker.added, *maker.removed])
        )
        return layout

    def _note_left_out(self, left_out: dict[str, str]) -> None:
        if left_out != self.left_out:
            self._left_out_log.changed(self.left_out, left_out)
            self.left_out = left_out


def _read(source: Source) -> Sample | Exception:
    try:
        return source.read()
    except Exception as error:  # noqa: BLE001 - an error of one source must not affect the others
        return error


class Groups:
    """Polls the groups of a configuration for `origin`, each with a poller.

    A group is the families of one interval. `ledger` is for the family `agent`. One thread, or one
    `succession`, polls all groups. So no group may be delayed for longer than the shortest interval
    allows, and this determines the time limits of all sources. `watch` is as for `SharedDeadline`.
    """

    def __init__(
        self,
        origin: Origin,
        config: Config,
        ledger: Mapping[str, Mapping[str, int]],
        succession: Succession | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._origin = origin
        self._watch = watch
        self._succession = succession
        self._ledger = ledger
        self._pollers: dict[int, Poller] = {}
        self._plans: dict[Filters, Plan] = {}
        self._by_filters: dict[Filters, Poller] = {}
        self._latest: Latest | None = None
        self._former: Latest | None = None
        self.change(config)

    @property
    def intervals_ms(self) -> set[int]:
        """The interval of each group."""
        return set(self._pollers)

    @property
    def left_out(self) -> dict[str, str]:
        """What the host did not give in the last poll of each group, and why."""
        pollers = self._pollers.values()
        return {name: why for poller in pollers for name, why in poller.left_out.items()}

    def has(self, family: str, interval_ms: int) -> bool:
        """Whether a family is in the group of an interval."""
        return family in self._names[interval_ms]

    def poll(self, interval_ms: int, timestamp_ms: int) -> tuple[Layout, Poll]:
        """Poll the group of an interval now. The poll carries `timestamp_ms`."""
        return self._pollers[interval_ms].poll(timestamp_ms)

    def change(self, config: Config) -> None:
        """Use another configuration from the next poll on.

        A group of the same families as before keeps its sources, which know what hangs.
        """
        self._names = config.groups
        every = Filters.of(config)
        self._change_commands(every)
        filters = {replace(every, families=names): ms for ms, names in self._names.items()}
        gone = {p.interval_ms: p for own, p in self._by_filters.items() if own not in filters}
        # All groups may be due, and begin to hang, at once.
        limit_s = registry.time_limit_s(config.shortest_s / len(self._names))
        self._plans = {own: self._plans.get(own) or self._plan(own, limit_s) for own in filters}
        self._by_filters = {
            own: self._by_filters.get(own) or self._poller(self._plans[own], interval_ms, gone)
            for own, interval_ms in filters.items()
        }
        for own, poller in self._by_filters.items():
            poller.interval_ms = filters[own]
            self._plans[own].change_time_limit(limit_s)
        self._pollers = {poller.interval_ms: poller for poller in self._by_filters.values()}

    def _plan(self, filters: Filters, limit_s: float) -> Plan:
        return Plan(
            filters, limit_s, shared=True,
            ledger=self._ledger, succession=self._succession, watch=self._watch, latest=self._latest,
        )  # fmt: skip

    def _change_commands(self, every: Filters) -> None:
        """Have the commands run that are wanted. If they are the same as before, they just go on."""
        is_on = "commands" in every.families
        if self._latest and is_on and self._latest.commands == every.commands:
            return
        if self._latest:
            self._latest.close()
            self._former = self._latest
        self._latest = registry.latest_of(every, former=self._former)

    def _poller(self, plan: Plan, interval_ms: int, gone: dict[int, Poller]) -> Poller:
        """Return a poller with new sources: an unused one of the same interval, if there is one."""
        sources = registry.sources_of(plan)
        if interval_ms not in gone:
            return Poller(sources, self._origin, interval_ms, plan.cpus)
        gone[interval_ms].change_sources(sources, plan.cpus)
        return gone[interval_ms]


def _words(error: BaseException) -> str:
    """Why a source is left out. What says that the host lacks something needs no name of an exception."""
    if isinstance(error, NotImplementedError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"
