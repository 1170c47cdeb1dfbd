"""How many different series somebody else may make: a server makes only about 50 new ones a second.

Labels that change with each run of a job would make new series for ever, and fill a database.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

S = TypeVar("S", bound="Hashable")

_DAY_S: Final = 86_400.0


class Admission(Generic[S]):
    """Admits `most` different ones at most; one that has been gone for a day makes room.

    Who was admitted once, and has not been gone for so long, is admitted again.
    """

    def __init__(self, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self._present: set[S] = set()
        self._gone_at: dict[S, float] = {}

    def admit(self, wanted: Iterable[S]) -> set[S]:
        """Those of `wanted` that are admitted, the first ones first."""
        now = self._monotonic()
        known = {one: at for one, at in self._gone_at.items() if now - at < _DAY_S}
        known |= dict.fromkeys(self._present, now)
        self._present = set()
        for one in wanted:
            if known.pop(one, None) is not None or len(known) + len(self._present) < self._most:
                self._present.add(one)
        self._gone_at = known
        return self._present
