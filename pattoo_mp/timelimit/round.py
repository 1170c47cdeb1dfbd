"""One round of questions: several keys, asked by one thread or by several beside each other."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pattoo_mp.timelimit.asker import Asker

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

    def __init__(self, round_: Round[K, V], asker: Asker, prompt_s: float) -> None:
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
