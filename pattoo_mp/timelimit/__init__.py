"""Asks a question that may hang, and waits no longer than a time limit.

Whoever gives no answer in time is left alone with the thread that asks it, and is not waited for
again before it has shown that it answers. So a hang holds up one poll, by the limit at most, and
holds one thread. Its late answer is thrown away and the same thread asks once more: if that is
answered promptly, the next poll asks it like all others; if not, the thread asks again, once in
each poll, and no poll waits for it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pattoo_mp.timelimit.asker import Asker
from pattoo_mp.timelimit.round import Round, Share
from pattoo_mp.timelimit.superseded import SupersededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pattoo_mp.timelimit.succession import Succession

K = TypeVar("K")
V = TypeVar("V")

#: Threads that ask the rest when somebody hangs; so many more may hang in the same poll.
_SPARE_ASKERS: Final = 8


class NoAnswerError(TimeoutError):
    """Somebody was asked and did not answer in time, or still has not."""

    #: By these words it is known where only its text is left.
    WORDS: Final = "no answer within"

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"{self.WORDS} {limit_s:g} s")


def only(answers: Mapping[K, V | Exception]) -> V:
    """The one answer that there is. Raises what was raised instead."""
    (answer,) = answers.values()
    if isinstance(answer, Exception):
        try:
            raise answer
        finally:
            del answer  # or the error and this frame would hold each other
    return answer


class TimeLimited(Generic[K, V]):
    """Asks `question` of keys, and waits no longer than `limit_s` for all of them together.

    `limit_s` may change between two questions. `name` is for the threads. To be used by one thread,
    or by one `succession` of threads: then the thread asks by itself, and where it is slow or hangs
    its successor goes on with the same round.
    """

    def __init__(
        self,
        name: str,
        question: Callable[[K], V],
        limit_s: float,
        succession: Succession | None = None,
    ) -> None:
        self._name = name
        self._question = question
        self.limit_s = limit_s
        self._asker: Asker | None = None
        self._hanging: dict[K, Share[K, V]] = {}
        self._succession = succession
        #: What a thread that was left behind is in the middle of, for the one that goes on.
        self._left: tuple[Round[K, V], Share[K, V]] | None = None

    def ask(self, keys: Iterable[K]) -> dict[K, V | Exception]:
        """The answer of each key, or what it raised, or `NoAnswerError`; in the keys' order."""
        wanted = dict.fromkeys(keys)
        self._forget_all_but(wanted)
        answers = self._ask([key for key in wanted if not self._hangs(key)])
        return {
            key: answers[key] if key in answers else NoAnswerError(self.limit_s) for key in wanted
        }

    def ask_one(self, key: K) -> V:
        """The answer of one key. Raises what it raised, or `NoAnswerError`."""
        return only(self.ask((key,)))

    def _ask(self, keys: list[K]) -> Mapping[K, V | Exception]:
        if self._left is not None:
            (round_, share), self._left = self._left, None
            self._ask_beside(round_, [share])
            return round_.answers
        if not keys:
            return {}
        round_ = Round(self._question, keys)
        if self._succession is None:
            self._ask_elsewhere(round_)
        else:
            self._ask_here(round_, self._succession)
        return round_.answers

    def _ask_elsewhere(self, round_: Round[K, V]) -> None:
        self._asker = self._asker or Asker(self._name)
        first = self._begin(round_, self._asker)
        if not first.is_over(self.limit_s / 2):
            self._asker = None
            self._ask_beside(round_, [first])

    def _ask_beside(self, round_: Round[K, V], shares: list[Share[K, V]]) -> None:
        """Ask the rest beside somebody who is slow, or hangs, all in what time is left."""
        until = time.monotonic() + self.limit_s / 2
        self._wait([*shares, *self._reinforcements(round_)], until)
        self._hanging |= round_.give_up()

    def _ask_here(self, round_: Round[K, V], succession: Succession) -> None:
        share = Share(round_, succession.current, self.limit_s / 2)

        def leave_behind() -> bool:
            if round_.leave(share):
                self._left = round_, share
            return share.is_left

        succession.watch(self.limit_s / 2, leave_behind)
        share.run()
        if share.is_left:
            raise SupersededError
        succession.unwatch()

    def _begin(self, round_: Round[K, V], asker: Asker) -> Share[K, V]:
        share = Share(round_, asker, self.limit_s / 2)
        share.start()
        return share

    def _reinforcements(self, round_: Round[K, V]) -> list[Share[K, V]]:
        shares: list[Share[K, V]] = []
        with suppress(RuntimeError):  # no more threads to be had
            for _ in range(min(round_.waiting, _SPARE_ASKERS)):
                shares.append(self._begin(round_, Asker(self._name)))  # noqa: PERF401 - keep what began
        return shares

    def _wait(self, shares: list[Share[K, V]], until: float) -> None:
        for share in shares:
            share.is_over(until - time.monotonic())

    def _hangs(self, key: K) -> bool:
        share = self._hanging.get(key)
        if share is None:
            return False
        if share.is_over() and share.is_well:
            del self._hanging[key]
            return False
        if share.is_over():
            share.start_again(key)
        return True

    def _forget_all_but(self, wanted: Mapping[K, None]) -> None:
        """Forget who is gone, but not while it holds a thread: each return would cost one more."""
        for key in self._hanging.keys() - wanted.keys():
            if self._hanging[key].is_over():
                del self._hanging[key]
