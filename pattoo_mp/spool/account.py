"""The spool's account of every poll it was ever given, and a copy of it in a small file.

`kept = delivered + waiting + quarantined + dropped`. The account changes in the same transactions
as the polls, so this holds after any crash.
"""

from __future__ import annotations

import json
import os
import struct
from binascii import crc32
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.model import now_ms
from pattoo_mp.util import files, json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pattoo_mp.spool.tables import Tables


_CHECKSUM: Final = "crc"


@dataclass(slots=True)
class SpoolState:
    """The account. All counters run since the spool was first made, except those of the channel.

    - `sequence` is the last sequence number kept of the channel `channel`, and `kept_of_channel`
      the number of polls kept of it.
    - `newest_ms` is the time of the newest poll ever kept, `delivered_ms` that of the newest
      delivered poll, `oldest_ms` that of the oldest waiting poll (0: none). `dropped_ms` is when a
      poll was last dropped, `envelope_ms` the newest timestamp reserved for a post. All are in ms
      since the epoch.
    - `commits` grows with each commit, so it shows which of two accounts is newer.
    - `acknowledged_id` is the id of the last poll delivered.
    - `book` is a snapshot of control's ledger, as control sent it.
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
        """Return what is stored in the file, with a checksum for `is_sound`.

        Waiting and quarantined polls are not stored: their rows are counted.
        """
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
        """Whether the account explains every poll that was ever kept."""
        explained = self.delivered + self.waiting + self.quarantined + self.dropped.total()
        return self.kept == explained

    def drop(self, reason: str, polls: int) -> None:
        """Count polls as dropped now."""
        if polls:
            self.dropped[reason] += polls
            self.dropped_ms = now_ms()

    def copy(self) -> SpoolState:
        """Return a copy to change; it becomes the state when its transaction commits."""
        return replace(self, dropped=self.dropped.copy())

    def of_channel(self, channel: str) -> SpoolState:
        """Return the account for the control process with this channel.

        `sequence` and `kept_of_channel` are 0 if they belong to an earlier channel.
        """
        if self.channel == channel:
            return self
        return replace(self, channel=channel, sequence=0, kept_of_channel=0)

    def fields(self) -> dict[str, Any]:
        """Return the account as the fields of a message; `of` reads them."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> SpoolState:
        """Return the account from the fields of a message."""
        state = cls(**fields)
        state.dropped = Counter(state.dropped)
        return state

    def all_facts(self) -> dict[str, str | int]:
        """Return the facts and the row counts: for the copy, which has no rows to count."""
        return self.facts() | {"waiting": self.waiting, "quarantined": self.quarantined}

    def lost(self, recovered: int) -> int:
        """Return how many polls are lost if only `recovered` of those in the file are recovered."""
        return max(0, self.kept - self.delivered - self.dropped.total() - recovered)


def is_sound(facts: Mapping[str, Any]) -> bool:
    """Whether the facts match their checksum: SQLite does not notice a changed byte."""
    if not all(isinstance(name, str) for name in facts):
        return False  # a damaged page gives names of any type
    stored = {name: value for name, value in facts.items() if name != _CHECKSUM}
    return not stored or facts.get(_CHECKSUM) == _checksum(stored)


def _checksum(facts: Mapping[str, Any]) -> int:
    return crc32(json.dumps(facts, sort_keys=True, default=str).encode())


def state_of(tables: Tables, facts: Mapping[str, Any], progress: Callable[[], None]) -> SpoolState:
    """Return the account of a file from its facts and by counting its rows."""
    known = state_of_facts(facts)
    known.waiting = tables.count_polls(progress)
    known.oldest_ms = tables.oldest_ms()
    known.quarantined = tables.count_quarantined(progress)
    return known


def state_of_facts(facts: Mapping[str, Any]) -> SpoolState:
    """Return the account from stored facts; missing or invalid ones are 0 or empty."""
    known = SpoolState()
    for name, default in SpoolState().all_facts().items():
        value = facts.get(name, default)
        if name not in {"dropped", _CHECKSUM} and isinstance(value, type(default)):
            setattr(known, name, value)
    known.dropped = _counter(facts.get("dropped"))
    return known


def _counter(text: object) -> Counter[str]:
    try:
        counts = json_text.parse(text) if isinstance(text, str) else {}
        return Counter({str(reason): int(number) for reason, number in counts.items()})
    except (ValueError, AttributeError, TypeError, OverflowError):
        return Counter()


# --- the copy

#: An account takes about 3 kB, most of it `book`. The rest of a slot is a hole in the file.
_SLOT_BYTES: Final = 1 << 16
#: Length and CRC-32 of the content that follows.
_HEAD: Final = struct.Struct(">II")


class AccountCopy:
    """A second copy of the account, in a small file beside the spool's.

    A spool file that has lost its journal looks like a sound file of an earlier time, and one whose
    facts are unreadable has no account. The copy is written after each commit, so it is never ahead
    of an intact spool. If it is ahead, the spool has lost something, and the copy shows how much.
    It is not synced: after a power failure it may be behind or unreadable, and then it is not used.

    Two slots are written in turn, so a kill while one is written leaves the other. Errors while
    writing are ignored, since it is only a copy.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, state: SpoolState) -> None:
        """Write the account of a finished commit."""
        content = json.dumps(state.all_facts()).encode()
        if len(content) > _SLOT_BYTES - _HEAD.size:
            return
        slot = _HEAD.pack(len(content), crc32(content)) + content
        with suppress(OSError):
            # O_NONBLOCK: opening a named pipe in its place fails instead of waiting for a reader.
            descriptor = files.open_file(self._path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK)
            try:
                os.pwrite(descriptor, slot, state.commits % 2 * _SLOT_BYTES)
            finally:
                os.close(descriptor)

    def read(self) -> SpoolState | None:
        """Return the newest intact account, or None."""
        try:
            content = files.read_file(self._path, 2 * _SLOT_BYTES)
        except OSError:
            return None
        found = [_slot(content[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES)]
        intact = [state for state in found if state is not None]
        return max(intact, key=lambda state: state.commits, default=None)


def _slot(content: bytes) -> SpoolState | None:
    if len(content) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack_from(content)
    text = content[_HEAD.size : _HEAD.size + length]
    if len(text) != length or crc32(text) != checksum:
        return None
    with suppress(ValueError):
        facts = json_text.parse(text)
        return state_of_facts(facts) if isinstance(facts, dict) else None
    return None
