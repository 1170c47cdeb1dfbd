"""Several questions that may hang, asked in one round for each poll.

They share one time limit, and what it costs to keep it. So the first that wants its answers has those
of the others asked too, and they find theirs ready.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pattoo_mp.timelimit import TimeLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pattoo_mp.timelimit.succession import Succession

    Answers = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class _Part:
    """Whom to ask (which may itself raise), and what."""

    keys: Callable[[], Iterable[Any]]
    question: Callable[[Any], Any]


class Together:
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
        wanted = [
            (name, key)
            for name, keys in ready.items()
            if not isinstance(keys, Exception)
            for key in keys
        ]
        for (name, key), answer in self._limited.ask(wanted).items():
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
