"""The spool's account of every poll it was ever given, and a copy of it in a small file.

For each output: `kept = delivered + waiting + quarantined + dropped`. The account changes in the
same transactions as the polls, so this holds after any crash.
"""

from __future__ import annotations

import json
import os
import struct
from binascii import crc32
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.model import now_ms
from pattoo_mp.util import files, json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from pattoo_mp.spool.tables import Tables


_CHECKSUM: Final = "crc"
#: The one output of a file of schema 1, which had no name.
UNNAMED: Final = ""
#: Between the name of an output that is fetched and that of who fetches it: together they name an account.
#: No configured name has it.
_OF: Final = "/"


def place_of(output: str, client: str) -> str:
    """Return the name of the account of a client that fetches from an output: its place in the spool."""
    return f"{output}{_OF}{client}"


def is_place(name: str) -> bool:
    """Whether an account is the place of a client, and not that of a configured output."""
    return _OF in name


def output_of(name: str) -> str:
    """Return the configured output that an account belongs to."""
    return name.partition(_OF)[0]


@dataclass(slots=True)
class OutputState:
    """The account of one output. All counters run since the output was first configured.

    - `done_id` is the id of the last poll that the output is done with; all later ones wait for it.
    - `delivered_ms` is the time of the newest delivered poll, `oldest_ms` that of the oldest waiting
      one (0: none). `dropped_ms` is when a poll was last dropped, `envelope_ms` the newest timestamp
      reserved for a post. All are in ms since the epoch.
    """

    kept: int = 0
    delivered: int = 0
    waiting: int = 0
    quarantined: int = 0
    delivered_ms: int = 0
    oldest_ms: int = 0
    dropped_ms: int = 0
    envelope_ms: int = 0
    done_id: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def unexplained(self) -> int:
        """How many polls that were kept for this output the account does not explain."""
        explained = self.delivered + self.waiting + self.quarantined + self.dropped.total()
        return self.kept - explained

    def drop(self, reason: str, polls: int) -> None:
        """Count polls as dropped now."""
        if polls:
            self.dropped[reason] += polls
            self.dropped_ms = now_ms()

    def lost(self, recovered: int) -> int:
        """Return how many polls are lost if only `recovered` of those in the file are recovered."""
        return max(0, self.kept - self.delivered - self.dropped.total() - recovered)

    def copy(self) -> OutputState:
        """Return a copy to change."""
        return replace(self, dropped=self.dropped.copy())

    def values(self) -> dict[str, Any]:
        """Return all fields by name; `of` reads them."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> OutputState:
        """Return the account from fields by name; missing or invalid ones are 0 or empty."""
        state = cls()
        for name in _NUMBERS:
            if isinstance(value := values.get(name), int):
                setattr(state, name, value)
        state.dropped = _counter(values.get("dropped"))
        return state


_NUMBERS: Final = tuple(f.name for f in fields(OutputState) if f.name != "dropped")
#: These are not stored: the rows are counted.
_COUNTED: Final = frozenset({"waiting", "quarantined", "oldest_ms"})


@dataclass(slots=True)
class SpoolState:
    """The account: what all outputs share, and the account of each by its name.

    - `sequence` is the last sequence number kept of the channel `channel`, and `kept_of_channel`
      the number of polls kept of it. `kept` counts since the spool was first made.
    - `newest_ms` is the time of the newest poll ever kept (ms since the epoch).
    - `commits` grows with each commit, so it shows which of two accounts is newer.
    - `book` is a snapshot of control's ledger, as control sent it.
    """

    channel: str = ""
    sequence: int = 0
    kept_of_channel: int = 0
    kept: int = 0
    newest_ms: int = 0
    commits: int = 0
    book: str = ""
    outputs: dict[str, OutputState] = field(default_factory=dict)

    def facts(self) -> dict[str, str | int]:
        """Return what is stored in the file, with a checksum for `is_sound`.

        Waiting and quarantined polls are not stored: their rows are counted.
        """
        facts = self._facts(without=_COUNTED)
        return facts | {_CHECKSUM: _checksum(facts)}

    @property
    def closes(self) -> bool:
        """Whether the account explains every poll that was ever kept."""
        return all(not output.unexplained for output in self.outputs.values())

    @property
    def polls(self) -> int:
        """How many polls are in the file: those that the slowest output waits for."""
        return max((output.waiting for output in self.outputs.values()), default=0)

    @property
    def done_id(self) -> int:
        """The id up to which no output waits for any poll."""
        return min((output.done_id for output in self.outputs.values()), default=0)

    def copy(self) -> SpoolState:
        """Return a copy to change; it becomes the state when its transaction commits."""
        return replace(self, outputs={name: o.copy() for name, o in self.outputs.items()})

    def take_envelopes(self, other: SpoolState) -> None:
        """Take over later envelope times from another account of the same commit."""
        for name, output in self.outputs.items():
            if name in other.outputs:
                output.envelope_ms = max(output.envelope_ms, other.outputs[name].envelope_ms)

    def of_channel(self, channel: str) -> SpoolState:
        """Return the account for the control process with this channel.

        `sequence` and `kept_of_channel` are 0 if they belong to an earlier channel.
        """
        if self.channel == channel:
            return self
        return replace(self, channel=channel, sequence=0, kept_of_channel=0)

    def fields(self) -> dict[str, Any]:
        """Return the account as the fields of a message; `of` reads them."""
        shared = {name: getattr(self, name) for name in _SHARED}
        return shared | {"outputs": {name: o.values() for name, o in self.outputs.items()}}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> SpoolState:
        """Return the account from the fields of a message."""
        outputs = {name: OutputState.of(values) for name, values in fields["outputs"].items()}
        return cls(**{**fields, "outputs": outputs})

    def all_facts(self) -> dict[str, str | int]:
        """Return the facts and the row counts: for the copy, which has no rows to count.

        They have no checksum, since the copy has one of its whole content.
        """
        return self._facts()

    def _facts(self, without: Iterable[str] = ()) -> dict[str, str | int]:
        outputs = {
            name: {key: value for key, value in output.values().items() if key not in without}
            for name, output in self.outputs.items()
        }
        facts: dict[str, str | int] = {name: getattr(self, name) for name in _SHARED}
        facts["outputs"] = json.dumps(outputs)
        return facts


_SHARED: Final = tuple(f.name for f in fields(SpoolState) if f.name != "outputs")
#: The facts of a file of schema 1 that are those of its one output.
_SCHEMA_1: Final = {
    "delivered": "delivered",
    "waiting": "waiting",
    "quarantined": "quarantined",
    "delivered_ms": "delivered_ms",
    "dropped_ms": "dropped_ms",
    "envelope_ms": "envelope_ms",
    "acknowledged_id": "done_id",
    "kept": "kept",
    "dropped": "dropped",
}
#: Facts of schema 1 that this one does not have.
FORMER_FACTS: Final = frozenset(_SCHEMA_1) - frozenset(_SHARED)
#: All that a file of any schema may hold.
FACTS: Final = frozenset({*_SHARED, *_SCHEMA_1, "outputs", _CHECKSUM})


def is_sound(facts: Mapping[str, Any]) -> bool:
    """Whether the facts match their checksum: SQLite does not notice a changed byte."""
    if not all(isinstance(name, str) for name in facts):
        return False  # a damaged page gives names of any type
    stored = {name: value for name, value in facts.items() if name != _CHECKSUM}
    return not stored or facts.get(_CHECKSUM) == _checksum(stored)


#: Made once: each commit needs it.
_SORTED: Final = json.JSONEncoder(sort_keys=True, default=str)


def _checksum(facts: Mapping[str, Any]) -> int:
    return crc32(_SORTED.encode(facts).encode())


def state_of(tables: Tables, facts: Mapping[str, Any], progress: Callable[[], None]) -> SpoolState:
    """Return the account of a file from its facts and by counting its rows."""
    known = state_of_facts(facts)
    outputs = known.outputs
    waiting = tables.count_polls([output.done_id for output in outputs.values()], progress)
    quarantined = tables.quarantine.count(progress)
    for (name, output), number in zip(outputs.items(), waiting, strict=True):
        output.waiting = number
        output.oldest_ms = tables.oldest_ms(output.done_id)
        output.quarantined = quarantined[name]
    return known


def state_of_facts(facts: Mapping[str, Any]) -> SpoolState:
    """Return the account from stored facts; missing or invalid ones are 0 or empty."""
    known = SpoolState()
    for name in _SHARED:
        value = facts.get(name)
        if isinstance(value, type(getattr(known, name))):
            setattr(known, name, value)
    if "outputs" not in facts and "acknowledged_id" in facts:
        of_schema_1 = {new: facts.get(old) for old, new in _SCHEMA_1.items()}
        known.outputs = {UNNAMED: OutputState.of(of_schema_1)}
    for name, values in _object(facts.get("outputs")).items():
        if isinstance(values, dict):
            known.outputs[name] = OutputState.of(values)
    return known


def _counter(counts: object) -> Counter[str]:
    # In schema 1 it was JSON inside of the facts.
    found = counts if isinstance(counts, dict) else _object(counts)
    return Counter({str(name): n for name, n in found.items() if isinstance(n, int)})


def _object(text: object) -> dict[str, Any]:
    """Return the object that a JSON text holds; an empty one if it holds none."""
    with suppress(ValueError):
        found = json_text.parse(text) if isinstance(text, str) else {}
        return found if isinstance(found, dict) else {}
    return {}


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
