"""What the sources of a poll are made with: the `Plan`, and the deadline that they share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.collect import host, mounts
from pattoo_mp.collect.families._processes import OneLook, running
from pattoo_mp.timelimit.deadline import TimeLimited, single_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pattoo_mp.collect.families._processes import Process
    from pattoo_mp.collect.filters import Filters
    from pattoo_mp.timelimit.succession import Succession

    Answers = dict[Any, Any]
    Processes = Callable[[], Iterable[Process]]


class Plan:
    """Given to each family, which makes its sources with it.

    Each source is waited for `limit_s`. With `shared`, the sources belong to one poller, which reads
    all of them in order: they share one deadline, the list of mounts, and one scan of the processes.

    `list_mounts` lists the mounted file systems, and `path_of` returns the path at which to query
    one of them. `ledger` holds control's figures for the family `agent`, updated as they come.
    `succession` are the threads of the poller of a `shared` plan. `watch` is as for
    `SharedDeadline`.
    """

    def __init__(
        self,
        filters: Filters,
        limit_s: float,
        *,
        shared: bool = False,
        ledger: Mapping[str, int] | None = None,
        succession: Succession | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.filters = filters
        self.ledger = ledger
        list_mounts, self.path_of, table = mounts.mount_access(
            filters.paths, filters.without_device
        )
        self.list_mounts: mounts.Lister = (
            mounts.CachedMounts(list_mounts, table) if shared else list_mounts
        )
        #: All processes, for `process_states` and, after it, for `top_processes`.
        self.processes: tuple[Processes, Processes] = (running, running)
        if shared and {"process_states", "top_processes"} <= set(filters.families):
            look = OneLook()
            self.processes = (look.first, look.second)
        self._limit_s = limit_s
        self._shared_deadline = (
            SharedDeadline(limit_s, succession=succession, watch=watch) if shared else None
        )
        self._count = self.deadline().add("processors", ("now",), lambda _: host.cpus())

    def cpus(self) -> int | None:
        """Return the number of processors. Raises `NoAnswerError`, or what `host.cpus` raises."""
        number: int | None = single_answer(self._count())
        return number

    def deadline(self) -> SharedDeadline:
        """Return the deadline that all sources share, or else a new one for one source."""
        return self._shared_deadline or SharedDeadline(self._limit_s)


class Watch:
    """What control and the collector tell each other about sources that stop a whole process.

    `begin` is called with the name of each source before it is read, and with "" after the last.
    `avoided` maps the sources that must not be read to the reason.
    """

    def __init__(self, begin: Callable[[str], None] = lambda _: None) -> None:
        self.begin = begin
        self.avoided: Mapping[str, str] = {}

    def avoid(self, reasons: Mapping[str, str]) -> None:
        """Do not read these sources from the next poll on, and all others."""
        self.avoided = dict(reasons)


class AvoidedError(Exception):
    """A source is not read, because an earlier collector hung in it."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The keys to query, or the function that lists them, and the query."""

    keys: Callable[[], Iterable[Any]] | tuple[Any, ...]
    query: Callable[[Any], Any]


#: Stands for the keys of a part that lists them in each round.
_LIST: Final = object()


class SharedDeadline:
    """Makes the queries of several sources in one round per poll, in `limit_s` altogether.

    The sources share the time limit and the cost of keeping it. The first one that wants its
    answers has those of the others queried too; the others find theirs ready.

    For one thread, or the threads of one `succession`, which takes the answers of each part once
    per poll.
    """

    def __init__(
        self,
        limit_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        succession: Succession | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._watch = watch or Watch()
        self._parts: dict[str, _Part] = {}
        self._first: list[tuple[str, Any]] = []
        self._limited = TimeLimited("sources", self._query, limit_s, succession, self._further)
        self._ready: dict[str, Answers | Exception] = {}
        self._asked_at = 0.0

    @property
    def limit_s(self) -> float:
        """The time limit of a round. It may change between two polls."""
        return self._limited.limit_s

    @limit_s.setter
    def limit_s(self, limit_s: float) -> None:
        self._limited.limit_s = limit_s

    def add(
        self,
        name: str,
        keys: Callable[[], Iterable[Any]] | tuple[Any, ...],
        query: Callable[[Any], Any],
    ) -> Callable[[], Answers]:
        """Add a part. The returned function gives its answers by key, as `TimeLimited.ask` does.

        A function that lists the keys is called in each round, under the same time limit.
        """
        self._parts[name] = _Part(keys, query)
        self._first += [(name, key) for key in (keys if isinstance(keys, tuple) else (_LIST,))]
        return lambda: self._take(name)

    def _take(self, name: str) -> Answers:
        # Answers that were not taken in time belong to another poll.
        if name not in self._ready or self._monotonic() > self._asked_at + self.limit_s:
            self._ask()
        answers = self._ready.pop(name)
        if isinstance(answers, Exception):
            raise answers
        return answers

    def _ask(self) -> None:
        self._ready = {}  # empty for a successor, should this thread be left behind
        ready: dict[str, Any] = {name: {} for name in self._parts}
        avoided = self._watch.avoided
        first = [of for of in self._first if of[0] not in avoided] if avoided else self._first
        for (name, key), answer in self._limited.ask(first).items():
            if key is not _LIST:
                ready[name][key] = answer
            elif isinstance(answer, Exception):
                ready[name] = answer
        self._watch.begin("")
        for name in avoided.keys() & ready.keys():
            ready[name] = AvoidedError(avoided[name])
        self._ready = ready
        self._asked_at = self._monotonic()

    def _query(self, of: tuple[str, Any]) -> Any:  # noqa: ANN401 - each part has its own type
        name, key = of
        self._watch.begin(name)
        part = self._parts[name]
        if key is _LIST and not isinstance(part.keys, tuple):
            return tuple(part.keys())
        return part.query(key)

    def _further(self, of: tuple[str, Any], answer: Any) -> Iterable[tuple[str, Any]]:  # noqa: ANN401 - as above
        name, key = of
        return [(name, further) for further in answer] if key is _LIST else ()
