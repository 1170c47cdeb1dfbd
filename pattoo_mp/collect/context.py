"""What the sources of a poll are made with: the `Plan`, and the deadline that they share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pattoo_mp.collect import mounts
from pattoo_mp.collect.families._processes import OneLook, running
from pattoo_mp.timelimit.deadline import TimeLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pattoo_mp.collect.families._processes import Process
    from pattoo_mp.collect.filters import Filters
    from pattoo_mp.timelimit.succession import Succession

    Answers = dict[Any, Any]
    Processes = Callable[[], Iterable[Process]]


class Plan:
    """Given to each family, which makes its sources with it.

    Each source that may hang is waited for `limit_s`. With `shared`, the sources belong to one
    poller, which reads all of them in order: they share one deadline, the list of mounts, and one
    scan of the processes.

    `list_mounts` lists the mounted file systems, and `path_of` returns the path at which to query
    one of them. `ledger` holds control's figures for the family `agent`, updated as they come.
    `succession` are the threads of the poller of a `shared` plan.
    """

    def __init__(
        self,
        filters: Filters,
        limit_s: float,
        *,
        shared: bool = False,
        ledger: Mapping[str, int] | None = None,
        succession: Succession | None = None,
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
        self._shared_deadline = SharedDeadline(limit_s, succession=succession) if shared else None

    def deadline(self) -> SharedDeadline:
        """Return the deadline that all sources share, or else a new one for one source."""
        return self._shared_deadline or SharedDeadline(self._limit_s)


@dataclass(frozen=True, slots=True)
class _Part:
    """The keys to query (listing them may raise), and the query."""

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
        monotonic: Callable[[], float] = time.monotonic,
        succession: Succession | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._parts: dict[str, _Part] = {}
        self._limited = TimeLimited("what may hang", self._query, limit_s, succession)
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
        self, name: str, keys: Callable[[], Iterable[Any]], query: Callable[[Any], Any]
    ) -> Callable[[], Answers]:
        """Add a part. The returned function gives its answers by key, as `TimeLimited.ask` does."""
        self._parts[name] = _Part(keys, query)
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
        ready = {name: _keys(part) for name, part in self._parts.items()}
        wanted = [
            (name, key)
            for name, keys in ready.items()
            if not isinstance(keys, Exception)
            for key in keys
        ]
        for (name, key), answer in self._limited.ask(wanted).items():
            ready[name][key] = answer  # type: ignore[index]  # a part with keys has no error
        self._ready = ready
        self._asked_at = self._monotonic()

    def _query(self, of: tuple[str, Any]) -> Any:  # noqa: ANN401 - each part has its own type
        name, key = of
        return self._parts[name].query(key)


def _keys(part: _Part) -> Answers | Exception:
    """Return a dictionary for the answers of a part, or the error of listing its keys."""
    try:
        return dict.fromkeys(part.keys())
    except Exception as error:  # noqa: BLE001 - an error of one part must not affect the others
        return error
