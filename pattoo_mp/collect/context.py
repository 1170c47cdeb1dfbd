"""What the sources of a poll are made with: the `Plan`, and the deadline that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pattoo_mp.collect import host, mounts
from pattoo_mp.collect.families._processes import OneLook, running
from pattoo_mp.timelimit.deadline import Further, TimeLimited, answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pattoo_mp.collect.commands.latest import Latest
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
    `SharedDeadline`. `latest` has the answers of the commands, for the family `commands`.
    """

    def __init__(
        self,
        filters: Filters,
        limit_s: float,
        *,
        shared: bool = False,
        ledger: Mapping[str, Mapping[str, int]] | None = None,
        succession: Succession | None = None,
        watch: Watch | None = None,
        latest: Latest | None = None,
    ) -> None:
        self.filters = filters
        self.latest = latest
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
        self._count = self.deadline().add_one("processors", host.cpus)

    def change_time_limit(self, limit_s: float) -> None:
        """Change the limit of a `shared` plan, from the next poll on."""
        if self._shared_deadline is not None:
            self._shared_deadline.limit_s = limit_s

    def cpus(self) -> int | None:
        """Return the number of processors. Raises `NoAnswerError`, or what `host.cpus` raises."""
        number: int | None = self._count()
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
    """A function that lists keys, which may raise, and the query of one of them."""

    keys: Callable[[], Iterable[Any]]
    query: Callable[[Any], Any]


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
        succession: Succession | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch or Watch()
        self._single: dict[str, Callable[[], Any]] = {}
        self._parts: dict[str, _Part] = {}
        #: By name: an answer, the answers of a part by key, or an error.
        self._ready: dict[Any, Any] = {}
        self._limited = TimeLimited("sources", self._query, limit_s, succession)

    @property
    def limit_s(self) -> float:
        """The time limit of a round. It may change between two polls."""
        return self._limited.limit_s

    @limit_s.setter
    def limit_s(self, limit_s: float) -> None:
        self._limited.limit_s = limit_s

    def add_one(self, name: str, query: Callable[[], Any]) -> Callable[[], Any]:
        """Add a single query. The returned function gives its answer, or raises its error."""
        self._single[name] = query
        return lambda: self._take(name)

    def add(
        self, name: str, keys: Callable[[], Iterable[Any]], query: Callable[[Any], Any]
    ) -> Callable[[], Answers]:
        """Add a part. The returned function gives its answers by key, as `TimeLimited.ask` does.

        The keys are listed in each round, under the same time limit.
        """
        self._parts[name] = _Part(keys, query)
        return lambda: self._take(name)

    def _take(self, name: str) -> Any:  # noqa: ANN401 - each part has its own type
        # Each poll takes each answer once, so one that was taken belongs to the poll before.
        if name not in self._ready:
            self._ask()
        return answer_of(self._ready.pop(name))

    def _ask(self) -> None:
        self._ready = {}  # empty for a successor, should this thread be left behind
        avoided = self._watch.avoided
        first = [name for name in (*self._single, *self._parts) if name not in avoided]
        ready: dict[Any, Any] = self._limited.ask(first)
        for name in self._parts:
            listed = ready.get(name)
            if isinstance(listed, Further):
                ready[name] = {of[1]: ready.pop(of) for of in listed}
        for name in avoided:
            ready[name] = AvoidedError(avoided[name])
        self._watch.begin("")
        self._ready = ready

    def _query(self, of: str | tuple[str, Any]) -> Any:  # noqa: ANN401 - as above
        if isinstance(of, tuple):
            name, key = of
            self._watch.begin(name)
            return self._parts[name].query(key)
        self._watch.begin(of)
        if of in self._single:
            return self._single[of]()
        return Further((of, key) for key in self._parts[of].keys())  # noqa: SIM118 - no dict
