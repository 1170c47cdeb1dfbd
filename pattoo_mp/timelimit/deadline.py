"""One round of questions: several keys, asked by one thread or by several beside each other."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pattoo_mp.timelimit.succession import SupersededError, WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pattoo_mp.timelimit.succession import Succession


K = TypeVar("K")
V = TypeVar("V")


class Round(Generic[K, V]):
    """Asks `question` of each key once. `answers` holds what was answered or raised, by key."""

    def __init__(self, question: Callable[[K], V], keys: Iterable[K]) -> None:
        self._question = question
        self._waiting = deque(keys)
        self._asking: dict[Share[K, V], K] = {}
        self._lock = Lock()
        self.answers: dict[K, V | Exception] = {}

    @property
    def waiting(self) -> int:
        """How many keys nobody has asked yet."""
        return len(self._waiting)

    def keys_for(self, share: Share[K, V]) -> Iterator[K]:
        """The keys that `share` is to ask, each the next one that waits, while there are any."""
        while True:
            with self._lock:
                self._asking.pop(share, None)
                if not self._waiting:
                    return
                key = self._asking[share] = self._waiting.popleft()
            yield key

    def ask(self, key: K) -> V | Exception:
        """The answer, or what was raised instead."""
        try:
            return self._question(key)
        except Exception as error:  # noqa: BLE001 - whatever one does, the others go on
            return error

    def leave(self, share: Share[K, V]) -> bool:
        """Let another thread go on with what the thread of `share` did, unless it is done by now."""
        with self._lock:
            share.is_left = share in self._asking
            return share.is_left

    def give_up(self) -> dict[K, Share[K, V]]:
        """Let nobody else be asked. Returns the keys that are being asked still, and by whom."""
        with self._lock:
            self._waiting.clear()
            for share in self._asking:
                share.is_late = True
            return {key: share for share, key in self._asking.items()}


class Share(Generic[K, V]):
    """One thread's part in a round.

    Once the round was given up, the key that it hangs on has to answer again, within `prompt_s`,
    before `is_well` is true. Only then can it be waited for again without holding up a poll.
    """

    def __init__(self, round_: Round[K, V], asker: WorkerThread, prompt_s: float) -> None:
        self._round = round_
        self._prompt_s = prompt_s
        self._asker = asker
        self.is_left = False
        self.is_late = False
        self.is_well = False

    def start(self) -> None:
        """Begin to ask."""
        self._asker.start(self.run)

    def start_again(self, key: K) -> None:
        """Begin to ask a key that answered, but not promptly."""
        self._asker.start(lambda: self._prove(key))

    def is_over(self, within_s: float = 0.0) -> bool:
        """Whether it is done, or is so before `within_s` have passed."""
        return self._asker.is_idle(within_s)

    def run(self) -> None:
        """Ask, in this thread."""
        for key in self._round.keys_for(self):
            self._round.answers[key] = self._round.ask(key)
            if self.is_late:
                self._prove(key)

    def _prove(self, key: K) -> None:
        begun = time.monotonic()
        self._round.ask(key)
        self.is_well = time.monotonic() - begun <= self._prompt_s


# Asks a question that may hang, and waits no longer than a time limit.
#
# Whoever gives no answer in time is left alone with the thread that asks it, and is not waited for
# again before it has shown that it answers. So a hang holds up one poll, by the limit at most, and
# holds one thread. Its late answer is thrown away and the same thread asks once more: if that is
# answered promptly, the next poll asks it like all others; if not, the thread asks again, once in
# each poll, and no poll waits for it.

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
        self._asker: WorkerThread | None = None
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
        self._asker = self._asker or WorkerThread(self._name)
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

    def _begin(self, round_: Round[K, V], asker: WorkerThread) -> Share[K, V]:
        share = Share(round_, asker, self.limit_s / 2)
        share.start()
        return share

    def _reinforcements(self, round_: Round[K, V]) -> list[Share[K, V]]:
        shares: list[Share[K, V]] = []
        with suppress(RuntimeError):  # no more threads to be had
            for _ in range(min(round_.waiting, _SPARE_ASKERS)):
                shares.append(self._begin(round_, WorkerThread(self._name)))  # noqa: PERF401 - keep what began
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
