"""The spool's own account.

`kept = delivered + waiting + quarantined + dropped`, in the same transactions as the polls, so it
closes after any crash.
"""

from __future__ import annotations

import json
import os
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from pattoo_mp.model import now_ms
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

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

    def of_channel(self, channel: str) -> SpoolState:
        """The account for the control process with this channel.

        `sequence` and `kept_of_channel` are 0 where they are of an earlier channel.
        """
        if self.channel == channel:
            return self
        return replace(self, channel=channel, sequence=0, kept_of_channel=0)

    def fields(self) -> dict[str, Any]:
        """The account as a message carries it; `of` reads it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> SpoolState:
        """The account that a message carries."""
        state = cls(**fields)
        state.dropped = Counter(state.dropped)
        return state

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


# A second copy of the account, in a small file beside the spool's.
#
# A file that lost its journal is a sound file of an earlier time, and nothing in it tells. One whose
# facts cannot be read has no account at all. The copy is written after each commit, so it is never
# ahead of a spool that is whole: where it is, the spool has lost something, and the copy knows how
# much. It is not synced: after a power failure it may be behind, or unreadable, and is not needed.
#
# Two slots are written in turn, so that a kill in the middle of one leaves the other.

#: An account is about 3 kB, most of it the book; the rest of a slot is a hole in the file.
_SLOT_BYTES: Final = 1 << 16
#: Length and CRC-32 of what follows.
_HEAD: Final = struct.Struct(">II")


class AccountCopy:
    """The copy at `path`. What cannot be written is not written: it is a copy."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, state: SpoolState) -> None:
        """Note the account of a commit that is done."""
        content = json.dumps(state.numbers()).encode()
        if len(content) > _SLOT_BYTES - _HEAD.size:
            return
        slot = _HEAD.pack(len(content), crc32(content)) + content
        with suppress(OSError):
            descriptor = files.open_file(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                os.pwrite(descriptor, slot, state.commits % 2 * _SLOT_BYTES)
            finally:
                os.close(descriptor)

    def read(self) -> SpoolState | None:
        """The newest account that is whole; None if there is none."""
        try:
            descriptor = files.open_file(self._path, os.O_RDONLY)
        except OSError:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            content = file.read(2 * _SLOT_BYTES)
        found = [_slot(content[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES)]
        whole = [state for state in found if state is not None]
        return max(whole, key=lambda state: state.commits, default=None)


def _slot(content: bytes) -> SpoolState | None:
    if len(content) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack_from(content)
    text = content[_HEAD.size : _HEAD.size + length]
    if len(text) != length or crc32(text) != checksum:
        return None
    with suppress(ValueError):
        facts = json.loads(text)
        return state_of_facts(facts) if isinstance(facts, dict) else None
    return None
