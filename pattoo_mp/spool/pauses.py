"""Times in which waiting polls do not grow older: leaps of the clock, and times without an agent.

The age of a poll is measured between timestamps, which come from the wall clock. That clock may
leap: it is corrected, the host was suspended, or a reboot began with a wrong time. And no clock
shows how long an agent was not running. So a poll's age is the time since it was made, as the clock
of its agent passed it, without these times. A spool may then keep polls longer than a person would,
but no clock can empty it.

Control finds out what a pause is, and stores it in its ledger's snapshot (`SpoolState.book`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.util import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable

#: How many pauses are kept. If there are more, the shortest matter least.
_KEPT: Final = 20
_KEY: Final = "pauses"


@dataclass(frozen=True, slots=True)
class Pause:
    """A time (ms since the epoch) between the timestamps of two polls, and why it is a pause."""

    after_ms: int
    before_ms: int
    reason: str

    @property
    def length_ms(self) -> int:
        """How long it seems to be."""
        return self.before_ms - self.after_ms


class Pauses:
    """The longest pauses, oldest first. They do not overlap."""

    def __init__(self, pauses: Iterable[Pause] = ()) -> None:
        self._pauses: list[Pause] = []
        self.add(*pauses)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._pauses)

    def add(self, *new: Pause) -> None:
        """Add pauses; without the shortest one if there are too many."""
        found = {pause for pause in (*self._pauses, *new) if pause.length_ms > 0}
        longest = sorted(found, key=lambda pause: -pause.length_ms)[:_KEPT]
        self._pauses = sorted(longest, key=lambda pause: pause.after_ms)

    def total_ms(self, since_ms: int, reason: str) -> int:
        """Return the length of the pauses for a reason, after the poll of `since_ms`."""
        return sum(
            pause.length_ms
            for pause in self._pauses
            if pause.reason == reason and pause.after_ms >= since_ms
        )

    def before(self, newest_ms: int, age_ms: int) -> int:
        """Return the time at which a poll was made that is now `age_ms` old, without the pauses.

        `newest_ms` is the time of the newest poll.
        """
        made_ms = newest_ms - age_ms
        for pause in reversed(self._pauses):
            if made_ms >= pause.before_ms:
                break
            made_ms -= pause.length_ms
        return made_ms

    def rows(self) -> list[tuple[int, int, str]]:
        """Return them for the ledger's snapshot; `read` reads them."""
        return [(pause.after_ms, pause.before_ms, pause.reason) for pause in self._pauses]

    @classmethod
    def read(cls, snapshot: str) -> list[Pause]:
        """Return the pauses in a snapshot of the ledger; none if it has none that can be read."""
        try:
            content = json_text.parse(snapshot or "{}")
            return [_pause(*row) for row in content.get(_KEY, ())]
        except (ValueError, AttributeError, TypeError, OverflowError):
            return []


def _pause(after_ms: Any, before_ms: Any, reason: Any) -> Pause:  # noqa: ANN401 - from a file
    return Pause(int(after_ms), int(before_ms), str(reason))
