"""Several questions that may hang, asked in one round for each poll.

They share one time limit, and what it costs to keep it. So the first that wants its answers has those
of the others asked too, and they find theirs ready.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pattoo_mp.collect import mounts
from pattoo_mp.collect.families._processes import OneLook, running
from pattoo_mp.timelimit.deadline import TimeLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pattoo_mp.timelimit.succession import Succession

    Answers = dict[Any, Any]
    from collections.abc import Mapping

    from pattoo_mp.collect.families._processes import Process
    from pattoo_mp.collect.filters import Filters

    Processes = Callable[[], Iterable[Process]]


@dataclass(frozen=True, slots=True)
class _Part:
    """Whom to ask (which may itself raise), and what."""

    keys: Callable[[], Iterable[Any]]
    question: Callable[[Any], Any]


class SharedDeadline:
    """Asks for all its parts at once, and waits no longer than `limit_s` for all of them.

    For one thread, or one `succession` of threads, which takes each part's answers once for each poll.
    """

    def __init__(
        self,
        limit_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        succession: Succession | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._parts: dict[str, _Part] = {}
        self._limited = TimeLimited("what may hang", self._question, limit_s, succession)
        self._ready: dict[str, Answers | Exception] = {}
        self._asked_at = 0.0

    @property
    def limit_s(self) -> float:
        """How long all of them are waited for. It may change between two polls."""
        return self._limited.limit_s

    @limit_s.setter
    def limit_s(self, limit_s: float) -> None:
        self._limited.limit_s = limit_s

    def part(
        self, name: str, keys: Callable[[], Iterable[Any]], question: Callable[[Any], Any]
    ) -> Callable[[], Answers]:
        """Add a part. What is returned gives its answers by key, as `TimeLimited.ask` does."""
        self._parts[name] = _Part(keys, question)
        return lambda: self._take(name)

    def _take(self, name: str) -> Answers:
        # Answers that somebody left lying are those of another poll.
        if name not in self._ready or self._monotonic() > self._asked_at + self.limit_s:
            self._ask()
        answers = self._ready.pop(name)
        if isinstance(answers, Exception):
            raise answers
        return answers

    def _ask(self) -> None:
        self._ready = {}  # of nothing, should this thread be left behind
        ready = {name: _keys(part) for name, part in self._parts.items()}
        filters = [
            (name, key)
            for name, keys in ready.items()
            if not isinstance(keys, Exception)
            for key in keys
        ]
        for (name, key), answer in self._limited.ask(filters).items():
            ready[name][key] = answer  # type: ignore[index]  # who has keys has no error
        self._ready = ready
        self._asked_at = self._monotonic()

    def _question(self, of: tuple[str, Any]) -> Any:  # noqa: ANN401 - each part has its own
        name, key = of
        return self._parts[name].question(key)


def _keys(part: _Part) -> Answers | Exception:
    """A place for each answer, or why there are none."""
    try:
        return dict.fromkeys(part.keys())
    except Exception as error:  # noqa: BLE001 - whatever one part does, the others go on
        return error


# How a poll asks the host: what is wanted of it, and who asks what may hang.


class Plan:
    """Given to each family, which makes its sources by it.

    Sources that may hang are waited for `limit_s` each. Those of a frugal plan do together, and
    only as often as it is needed, what each could do alone: they are for one poller, which reads
    all of them in order. `mounts` lists file systems, and `place` says where to ask one of them for
    its figures. `ledger` is what control tells of the agent, filled in as it comes, and `succession`
    the threads of a frugal plan's poller.
    """

    def __init__(
        self,
        filters: Filters,
        limit_s: float,
        *,
        frugal: bool = False,
        ledger: Mapping[str, int] | None = None,
        succession: Succession | None = None,
    ) -> None:
        self.filters = filters
        self.ledger = ledger
        listed, self.place, table = mounts.listing(filters.paths)
        self.mounts: mounts.Lister = mounts.Watched(listed, table) if frugal else listed
        #: All processes, as `process_states` and then `top_processes` see them.
        self.processes: tuple[Processes, Processes] = (running, running)
        if frugal and {"process_states", "top_processes"} <= set(filters.families):
            look = OneLook()
            self.processes = (look.first, look.second)
        self._limit_s = limit_s
        self._together = SharedDeadline(limit_s, succession=succession) if frugal else None

    def together(self) -> SharedDeadline:
        """Who asks what may hang: for each source one of its own, or one for all of them."""
        return self._together or SharedDeadline(self._limit_s)
