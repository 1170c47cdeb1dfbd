"""Queries that may hang, with a time limit.

`TimeLimited` queries several keys (mounts, devices, servers) in one round, and waits no longer than
a limit for all of them together. A key that does not answer in time is left to the thread that
queries it, and is not waited for again until it has answered promptly. So a hang delays one poll,
by the limit at most, and occupies one thread.

A round in which one key after the other answers is slow, but does not hang. It gets up to twice the
limit (`Patience`).

A late answer is discarded, and the same thread queries the key again. If the answer is prompt this
time, the next poll queries the key like all others. If not, the thread queries it again, once in
each poll, and no poll waits for it.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pattoo_mp.timelimit.succession import SupersededError, WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from pattoo_mp.timelimit.succession import Succession


K = TypeVar("K")
V = TypeVar("V")

#: Threads that query the remaining keys when one hangs. So many more may hang in the same poll.
_HELPERS: Final = 8


class NoAnswerError(TimeoutError):
    """A key did not answer in time, or still has not."""

    #: The beginning of the message, to recognise the error where only its text is left.
    WORDS: Final = "no answer within"

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"{self.WORDS} {limit_s:g} s")


def single_answer(answers: Mapping[K, V | Exception]) -> V:
    """Return the answer of the only key, or raise its error."""
    return answer_of(*answers.values())


def answer_of(answer: V | Exception) -> V:
    """Return an answer, or raise it if it is an error. The caller must not hold it meanwhile."""
    if isinstance(answer, Exception):
        try:
            raise answer
        finally:
            del answer  # otherwise the error and this frame would refer to each other
    return answer


class Further(tuple[K, ...]):
    """An answer that adds these keys to the round, as a list of mounts does."""

    __slots__ = ()


class TimeLimited(Generic[K, V]):
    """Calls `query` for each key, and waits no longer than `limit_s` for all of them together.

    `limit_s` may change between two calls. `name` is for the threads. For use by one thread, or by
    the threads of one `succession`. Without a succession, a worker thread makes the queries. With
    one, the calling thread makes them itself; if it is slow or hangs, its successor continues the
    same round. An answer may be `Further` keys.
    """

    def __init__(
        self,
        name: str,
        query: Callable[[K], V],
        limit_s: float,
        succession: Succession | None = None,
    ) -> None:
        self._name = name
        self._query = query
        self.limit_s = limit_s
        self._worker: WorkerThread | None = None
        self._hanging: dict[K, Share[K, V]] = {}
        self._succession = succession
        #: The unfinished round of a thread that was left behind, for its successor.
        self._unfinished: tuple[Round[K, V], Share[K, V]] | None = None

    def ask(self, keys: Iterable[K]) -> dict[K, V | Exception]:
        """Return each key's answer, or its error, or `NoAnswerError`, in the order of the keys.

        A successor gets the answers of the round that it continues.
        """
        round_ = self._finished_by_successor() or self._ask(keys)
        answers = round_.answers
        if self._hanging:
            self._forget_all_but(round_.wanted)
        if not round_.is_stopped and len(answers) == len(round_.wanted):
            return answers
        return {
            key: answers[key] if key in answers else NoAnswerError(self.limit_s)
            for key in round_.wanted
        }

    def ask_one(self, key: K) -> V:
        """Return the answer of one key. Raises its error, or `NoAnswerError`."""
        return single_answer(self.ask((key,)))

    def _finished_by_successor(self) -> Round[K, V] | None:
        """Finish the round of a thread that was left behind, if there is one."""
        if self._unfinished is None:
            return None
        (round_, share), self._unfinished = self._unfinished, None
        self._finish_in_parallel(round_, share)
        return round_

    def _ask(self, keys: Iterable[K]) -> Round[K, V]:
        hanging = {key for key in tuple(self._hanging) if self._hangs(key)}
        round_ = Round(self._query, keys, hanging)
        if not round_.waiting:
            return round_
        if self._succession is None:
            self._ask_in_worker(round_)
        else:
            self._ask_in_this_thread(round_, self._succession)
        return round_

    def _ask_in_worker(self, round_: Round[K, V]) -> None:
        self._worker = self._worker or WorkerThread(self._name)
        share = self._start_share(round_, self._worker)
        patience = Patience(round_, self.limit_s)
        while not share.is_done(self.limit_s / 2):
            if not patience.is_over():
                continue
            self._worker = None
            self._finish_in_parallel(round_, share)
            return

    def _ask_in_this_thread(self, round_: Round[K, V], succession: Succession) -> None:
        share = Share(round_, succession.current, self.limit_s / 2)
        patience = Patience(round_, self.limit_s)

        def leave_behind() -> bool:
            if patience.is_over() and round_.leave_behind(share):
                self._unfinished = round_, share
            return share.is_left_behind

        succession.watch(self.limit_s / 2, leave_behind)
        share.run()
        if share.is_left_behind:
            raise SupersededError
        succession.unwatch()

    def _finish_in_parallel(self, round_: Round[K, V], slow: Share[K, V]) -> None:
        """Query the remaining keys beside a thread that is slow or hangs, in half of the limit."""
        until = time.monotonic() + self.limit_s / 2
        for share in [slow, *self._start_helpers(round_)]:
            share.is_done(until - time.monotonic())
        self._hanging |= round_.stop()

    def _start_helpers(self, round_: Round[K, V]) -> list[Share[K, V]]:
        shares: list[Share[K, V]] = []
        with suppress(RuntimeError):  # the host has no more threads
            for _ in range(min(round_.waiting, _HELPERS)):
                shares.append(self._start_share(round_, WorkerThread(self._name)))  # noqa: PERF401 - keep those that started
        return shares

    def _start_share(self, round_: Round[K, V], worker: WorkerThread) -> Share[K, V]:
        share = Share(round_, worker, self.limit_s / 2)
        share.start()
        return share

    def _hangs(self, key: K) -> bool:
        share = self._hanging.get(key)
        if share is None:
            return False
        if share.is_done() and share.is_prompt:
            del self._hanging[key]
            return False
        if share.is_done():
            share.retry(key)
        return True

    def _forget_all_but(self, wanted: Mapping[K, None]) -> None:
        """Forget keys that are gone, unless they still occupy a thread.

        If those were forgotten, each return of such a key would occupy one more thread.
        """
        for key in self._hanging.keys() - wanted.keys():
            if self._hanging[key].is_done():
                del self._hanging[key]


class Round(Generic[K, V]):
    """Calls `query` once for each key, in one thread or in several at the same time.

    Keys that are `hanging` are not queried. Once it `is_stopped`, no more keys are. `answers` holds each key's answer or error. `wanted` are
    all keys, in order.
    """

    def __init__(
        self, query: Callable[[K], V], keys: Iterable[K], hanging: Collection[K] = ()
    ) -> None:
        self._query = query
        self._hanging = hanging
        self.wanted = dict.fromkeys(keys)
        self._waiting = deque(
            [key for key in self.wanted if key not in hanging] if hanging else self.wanted
        )
        self._running: dict[Share[K, V], K] = {}
        self._lock = Lock()
        self.is_stopped = False
        self.answers: dict[K, V | Exception] = {}

    @property
    def waiting(self) -> int:
        """The number of keys that no thread has queried yet."""
        return len(self._waiting)

    def answer(self, share: Share[K, V]) -> None:
        """Query in the thread of `share`, each time the next key that waits, until none is left."""
        waiting, running, ask = self._waiting, self._running, self.ask
        while True:
            with self._lock:
                if not waiting:
                    running.pop(share, None)
                    return
                key = running[share] = waiting.popleft()
            answer = ask(key)
            if isinstance(answer, Further):
                self._add(key, answer)
            else:
                # Without the lock: storing is atomic, and after the end nobody looks.
                self.answers[key] = answer
            if share.is_late:
                share.measure(key)

    def _add(self, key: K, keys: Further[K]) -> None:
        """Store an answer that adds keys. After the end, none of both is wanted."""
        with self._lock:
            if not self.is_stopped:
                self.answers[key] = keys  # type: ignore[assignment]  # V may be such an answer
                self.wanted |= dict.fromkeys(keys)
                self._waiting.extend(key for key in keys if key not in self._hanging)

    def ask(self, key: K) -> V | Exception:
        """Return the answer of a key, or the error that its query raised."""
        try:
            return self._query(key)
        except Exception as error:  # noqa: BLE001 - an error of one key must not affect the others
            return error

    def leave_behind(self, share: Share[K, V]) -> bool:
        """Mark the thread of `share` as superseded. False if it has finished meanwhile."""
        with self._lock:
            share.is_left_behind = share in self._running
            return share.is_left_behind

    def stop(self) -> dict[K, Share[K, V]]:
        """Start no more queries. Return the keys that have not answered yet, and their shares."""
        with self._lock:
            self.is_stopped = True
            self._waiting.clear()
            for share in self._running:
                share.is_late = True
            return {key: share for share, key in self._running.items()}


class Patience:
    """How long to wait for a round that makes progress: until `limit_s` is over twice."""

    def __init__(self, round_: Round[Any, Any], limit_s: float) -> None:
        self._round = round_
        self._until = time.monotonic() + 1.5 * limit_s  # the other half is for its end in parallel
        self._seen = 0

    def is_over(self) -> bool:
        """Whether no key has answered since the last call, or the time is up."""
        before, self._seen = self._seen, len(self._round.answers)
        return self._seen == before or time.monotonic() >= self._until


class Share(Generic[K, V]):
    """One thread's part in a round.

    After the end of the round, the key that it hangs on must answer once more, within `prompt_s`,
    before `is_prompt` is true. Only then can a poll wait for that key again without being delayed.
    """

    def __init__(self, round_: Round[K, V], worker: WorkerThread, prompt_s: float) -> None:
        self._round = round_
        self._prompt_s = prompt_s
        self._worker = worker
        self.is_left_behind = False
        self.is_late = False
        self.is_prompt = False

    def start(self) -> None:
        """Start to query, in the worker thread."""
        self._worker.start(self.run)

    def retry(self, key: K) -> None:
        """Start to query a key again that answered, but not promptly."""
        self._worker.start(lambda: self.measure(key))

    def is_done(self, within_s: float = 0.0) -> bool:
        """Whether it has finished, or does within `within_s`."""
        return self._worker.is_idle(within_s)

    def run(self) -> None:
        """Query, in the calling thread."""
        self._round.answer(self)

    def measure(self, key: K) -> None:
        """Query a key once more, and note whether it is prompt."""
        start = time.monotonic()
        self._round.ask(key)
        self.is_prompt = time.monotonic() - start <= self._prompt_s
