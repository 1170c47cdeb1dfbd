"""The spool's own account.

`kept = delivered + waiting + quarantined + dropped`, in the same transactions as the polls, so it
closes after any crash.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from pattoo_mp.model import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.spool.tables import Tables

_CHECKSUM: Final = "crc"


@dataclass(slots=True)
class SpoolState:
    """The account: all of it since the spool was first made, but for `sequence`.

    `sequence` is the last one kept of the channel `channel`, `kept_of_channel` how many of it;
    `newest_ms` is the newest poll ever kept, `delivered_ms` the newest that the server has, and
    `oldest_ms` the oldest that waits, 0 if none does; `dropped_ms` is when a poll was dropped last
    (all in ms since the epoch). `book` is what the channel's side asked to be kept.
    `commits` tells an older account from a newer one; `acknowledged_id` is the last one delivered.
    """

    channel: str = ""
    sequence: int = 0
    kept_of_channel: int = 0
    kept: int = 0
    delivered: int = 0
    waiting: int = 0
    quarantined: int = 0
    newest_ms: int = 0
    delivered_ms: int = 0
    oldest_ms: int = 0
    dropped_ms: int = 0
    envelope_ms: int = 0
    commits: int = 0
    acknowledged_id: int = 0
    book: str = ""
    dropped: Counter[str] = field(default_factory=Counter)

    def facts(self) -> dict[str, str | int]:
        """What the file keeps of it: rows are counted, not noted. See `is_sound`."""
        facts: dict[str, str | int] = {
            "channel": self.channel,
            "sequence": self.sequence,
            "kept_of_channel": self.kept_of_channel,
            "kept": self.kept,
            "delivered": self.delivered,
            "newest_ms": self.newest_ms,
            "delivered_ms": self.delivered_ms,
            "dropped_ms": self.dropped_ms,
            "envelope_ms": self.envelope_ms,
            "commits": self.commits,
            "acknowledged_id": self.acknowledged_id,
            "book": self.book,
            "dropped": json.dumps(self.dropped),
        }
        return facts | {_CHECKSUM: _checksum(facts)}

    @property
    def closes(self) -> bool:
        """Whether it explains every poll that was ever kept."""
        explained = self.delivered + self.waiting + self.quarantined + self.dropped.total()
        return self.kept == explained

    def drop(self, reason: str, polls: int) -> None:
        """Count polls as dropped, and note when that was."""
        if polls:
            self.dropped[reason] += polls
            self.dropped_ms = now_ms()

    def copy(self) -> SpoolState:
        """One to change; it becomes the state once its commit is done."""
        return replace(self, dropped=self.dropped.copy())

    def numbers(self) -> dict[str, str | int]:
        """All of it, rows too: for whoever has no rows to count."""
        return self.facts() | {"waiting": self.waiting, "quarantined": self.quarantined}

    def lost(self, saved: int) -> int:
        """How many polls are lost where only so many of those that were here are saved."""
        return max(0, self.kept - self.delivered - self.dropped.total() - saved)


def is_sound(facts: Mapping[str, Any]) -> bool:
    """Whether facts are those that were noted together: SQLite does not notice a changed byte."""
    noted = {name: value for name, value in facts.items() if name != _CHECKSUM}
    return not noted or facts.get(_CHECKSUM) == _checksum(noted)


def _checksum(facts: Mapping[str, Any]) -> int:
    return crc32(json.dumps(facts, sort_keys=True, default=str).encode())


def state_of(tables: Tables, facts: Mapping[str, Any], progress: Callable[[], None]) -> SpoolState:
    """The account that a file holds: facts as noted, rows as counted."""
    known = state_of_facts(facts)
    known.waiting = tables.count_polls(progress)
    known.oldest_ms = tables.oldest_ms()
    known.quarantined = tables.count_quarantined(progress)
    return known


def state_of_facts(facts: Mapping[str, Any]) -> SpoolState:
    """The account as it was noted; what is missing, or is not what it should be, is 0 or empty."""
    known = SpoolState()
    for name, default in SpoolState().numbers().items():
        value = facts.get(name, default)
        if name not in {"dropped", _CHECKSUM} and isinstance(value, type(default)):
            setattr(known, name, value)
    known.dropped = _counter(facts.get("dropped"))
    return known


def _counter(text: object) -> Counter[str]:
    try:
        counts = json.loads(text) if isinstance(text, str) else {}
        return Counter({str(reason): int(number) for reason, number in counts.items()})
    except (ValueError, AttributeError, TypeError):
        return Counter()
