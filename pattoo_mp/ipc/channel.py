"""The queue between the collector and the uploader. It lives in the control process.

The collector puts polls in; the uploader leases and acknowledges them. A lease removes nothing.
Only the acknowledgement does, and it follows the commit of the spool. So a worker may be killed at
any moment: no poll is lost with it, and none is kept twice, since each has a sequence number.
The queue is bounded by count and by bytes. When it is full, the oldest poll that was never leased is
dropped and counted: one that was leased may be in the spool already.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pattoo_mp.model import is_divided, part_identifiers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pattoo_mp.model import Poll

#: Without an uploader this lasts ten minutes at 10 Hz, or more than an hour and a half at 1 Hz.
MAX_POLLS: Final = 6_000
MAX_BYTES: Final = 16 << 20
#: Those of a hub: five minutes of 10,000 spokes at 60 s.
HUB_POLLS: Final = 50_000
HUB_BYTES: Final = 96 << 20
#: Memory of a poll besides its packed values: the object, its strings, its queue entry.
_OVERHEAD_BYTES: Final = 300


#: An interval (ms); or, for a spoke's polls, the name of their group.
Group = int | str


class KeptLayouts:
    """The layouts of the polls in the queue, and of the next polls of each group.

    The parts of a divided layout are kept beside it, each once. A hub has thousands of groups, so no step
    goes through all layouts.
    """

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        #: How many polls, groups and divided layouts need each.
        self._needed: Counter[str] = Counter()
        self._newest: dict[Group, str] = {}
        #: How many groups, directly or by a divided layout, have it as their newest one.
        self._current: Counter[str] = Counter()
        #: What only polls of earlier layouts need.
        self.old_bytes = 0

    def __len__(self) -> int:
        """The number of layouts and parts."""
        return len(self._packed)

    def __iter__(self) -> Iterator[str]:
        """Iterate over their identifiers."""
        return iter(self._packed)

    def add_part(self, identifier: str, packed: bytes) -> None:
        """Keep a part of the layout that is added next."""
        self._add(identifier, packed)

    def add(self, identifier: str, packed: bytes, group: Group) -> None:
        """Keep the layout of a group's next polls."""
        self._add(identifier, packed)
        if is_divided(identifier):
            self._parts[identifier] = part_identifiers(packed)
        before = self._newest.get(group)
        self._newest[group] = identifier
        self._set_current(identifier)
        if before is not None:
            self._unset_current(before)

    def keep_groups(self, groups: Collection[Group]) -> None:
        """Forget the other groups."""
        for group in [group for group in self._newest if group not in groups]:
            self.forget(group)

    def forget(self, group: Group) -> None:
        """Forget a group."""
        newest = self._newest.pop(group, None)
        if newest is not None:
            self._unset_current(newest)

    def use(self, identifier: str) -> None:
        """Note that a poll of this layout has come."""
        self._need(identifier)

    def release(self, identifier: str) -> None:
        """Note that a poll of this layout has gone."""
        self._release(identifier)

    def of(self, identifiers: Collection[str]) -> dict[str, bytes]:
        """Return these layouts and their parts, as far as they are known."""
        return {i: self._packed[i] for i in self._with_parts(identifiers) if i in self._packed}

    def _with_parts(self, identifiers: Collection[str]) -> set[str]:
        return set(identifiers).union(*(self._parts.get(i, ()) for i in identifiers))

    def _of(self, identifier: str) -> tuple[str, ...]:
        return (identifier, *self._parts.get(identifier, ()))

    def _add(self, identifier: str, packed: bytes) -> None:
        # It is old until a group has it.
        if identifier not in self._packed:
            self.old_bytes += len(packed)
        elif not self._current[identifier]:
            self.old_bytes += len(packed) - len(self._packed[identifier])
        self._packed[identifier] = packed

    def _need(self, identifier: str) -> None:
        for one in self._of(identifier):
            self._needed[one] += 1

    def _release(self, identifier: str) -> None:
        for one in self._of(identifier):
            self._needed[one] -= 1
            if self._needed[one] <= 0:
                del self._needed[one]
                # Not a current one: its group needs it.
                self.old_bytes -= len(self._packed.pop(one, b""))
                self._parts.pop(one, None)

    def _set_current(self, identifier: str) -> None:
        self._need(identifier)
        for one in self._of(identifier):
            self._current[one] += 1
            if self._current[one] == 1:
                self.old_bytes -= len(self._packed.get(one, b""))

    def _unset_current(self, identifier: str) -> None:
        for one in self._of(identifier):
            self._current[one] -= 1
            if not self._current[one]:
                del self._current[one]
                self.old_bytes += len(self._packed.get(one, b""))
        self._release(identifier)


@dataclass(frozen=True, slots=True)
class Lease:
    """Leased polls, each with its sequence number, and the layouts that they need.

    `layouts` holds the parts of divided ones as well.
    """

    polls: tuple[tuple[int, Poll], ...]
    layouts: dict[str, bytes]


@dataclass(slots=True)
class Missed:
    """The ticks missed before a poll, by reason, and in how many gaps."""

    ticks: Counter[str] = field(default_factory=Counter)
    gaps: int = 0

    def add(self, ticks: int, reason: str) -> None:
        """Add a gap."""
        self.ticks[reason] += ticks
        self.gaps += 1


class Channel:
    """The queue itself: no I/O, no clock, no locks."""

    def __init__(self, max_polls: int = MAX_POLLS, max_bytes: int = MAX_BYTES) -> None:
        self._max_polls = max_polls
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[int, Poll]] = deque()
        self._leased: deque[tuple[int, Poll]] = deque()
        #: By sequence number, for polls in the queue, and for the next one.
        self._missed: dict[int, Missed] = {}
        #: So many of the oldest waiting polls were leased to an uploader that has exited.
        self._returned = 0
        self._layouts = KeptLayouts()
        self._bytes = 0
        self._leased_bytes = 0
        self._sequence = 0
        self.dropped = 0

    def __len__(self) -> int:
        """The number of polls in the queue, including leased ones until they are acknowledged."""
        return len(self._waiting) + len(self._leased)

    @property
    def oldest_ms(self) -> int:
        """The time of the oldest poll in the queue; 0 if it is empty."""
        for _, poll in itertools.chain(self._leased, self._waiting):
            return poll.timestamp_ms
        return 0

    @property
    def leased(self) -> int:
        """The number of polls that are leased and not acknowledged yet."""
        return len(self._leased)

    def add_layout(self, identifier: str, packed: bytes, group: Group) -> None:
        """Store a layout for later polls of its group, until the group gets another layout."""
        self._layouts.add(identifier, packed, group)

    def add_part(self, identifier: str, packed: bytes) -> None:
        """Store a part of the layout that comes next; that layout's other parts are here."""
        self._layouts.add_part(identifier, packed)

    def keep_groups(self, groups: Collection[Group]) -> None:
        """Forget other groups: if one returns, a layout precedes its first poll."""
        self._layouts.keep_groups(groups)

    def forget(self, group: Group) -> None:
        """Forget a group that is gone."""
        self._layouts.forget(group)

    @property
    def last_sequence(self) -> int:
        """The sequence number of the newest poll; 0 before the first one."""
        return self._sequence

    def note_missed(self, ticks: int, reason: str) -> None:
        """Note a gap of missed ticks before the next poll."""
        self._missed.setdefault(self._sequence + 1, Missed()).add(ticks, reason)

    def put(self, poll: Poll) -> None:
        """Append a poll; while the queue is too full, drop the oldest one that was never leased."""
        self._sequence += 1
        self._waiting.append((self._sequence, poll))
        self._bytes += _size(poll)
        self._layouts.use(poll.layout_id)
        while self._is_full() and len(self._waiting) - self._returned > 1:
            oldest = self._waiting[self._returned]
            del self._waiting[self._returned]
            self._remove(oldest)
            self.dropped += 1

    def lease(self, max_bytes: int) -> Lease:
        """Lease the oldest polls that are not leased yet, until `max_bytes` in all are leased."""
        polls: list[tuple[int, Poll]] = []
        while self._waiting and (not self._leased or self._leased_bytes < max_bytes):
            item = self._next_waiting()
            self._leased.append(item)
            self._leased_bytes += _size(item[1])
            polls.append(item)
        return Lease(tuple(polls), self._layouts.of({poll.layout_id for _, poll in polls}))

    def acknowledge(self, sequence: int) -> None:
        """Remove the polls up to and including `sequence`: they are safe in the spool.

        Polls that were never leased stay. Others may have been stored by an uploader that exited
        before it could say so; the next one reports it.
        """
        while self._leased and self._leased[0][0] <= sequence:
            item = self._leased.popleft()
            self._leased_bytes -= _size(item[1])
            self._remove(item)
        while self._returned and self._waiting[0][0] <= sequence:
            self._remove(self._next_waiting())

    def missed_from(self, sequence: int) -> dict[int, Missed]:
        """Return what was missed before this poll and later ones, by sequence number."""
        return {s: missed for s, missed in self._missed.items() if s >= sequence}

    def release(self) -> None:
        """Cancel all leases: the uploader that held them has exited."""
        self._waiting.extendleft(reversed(self._leased))
        self._returned += len(self._leased)
        self._leased.clear()
        self._leased_bytes = 0

    def _next_waiting(self) -> tuple[int, Poll]:
        self._returned = max(0, self._returned - 1)
        return self._waiting.popleft()

    def _remove(self, item: tuple[int, Poll]) -> None:
        sequence, poll = item
        self._bytes -= _size(poll)
        self._layouts.release(poll.layout_id)
        self._missed.pop(sequence, None)

    def _is_full(self) -> bool:
        used = self._bytes + self._layouts.old_bytes
        return len(self) > self._max_polls or used > self._max_bytes


def _size(poll: Poll) -> int:
    return len(poll.packed) + _OVERHEAD_BYTES
