"""The queue between the collector and the uploader. It lives in the control process.

The collector puts polls in; the uploader leases and acknowledges them. A lease removes nothing.
Only the acknowledgement does, and it follows the commit of the spool. So a worker may be killed at
any moment: no poll is lost with it, and none is kept twice, since each has a sequence number.
The queue is bounded by count and by bytes. When it is full, the oldest poll is dropped and counted.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from pattoo_mp.model import Poll

#: Without an uploader this lasts ten minutes at 10 Hz, or more than an hour and a half at 1 Hz.
MAX_POLLS: Final = 6_000
MAX_BYTES: Final = 16 << 20
#: Memory of a poll besides its packed values: the object, its strings, its queue entry.
_OVERHEAD_BYTES: Final = 300


@dataclass(frozen=True, slots=True)
class Lease:
    """Leased polls, each with its sequence number, and the layouts that they need."""

    polls: tuple[tuple[int, Poll], ...]
    layouts: dict[str, bytes]


class Channel:
    """The queue itself: no I/O, no clock, no locks."""

    def __init__(self, max_polls: int = MAX_POLLS, max_bytes: int = MAX_BYTES) -> None:
        self._max_polls = max_polls
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[int, Poll]] = deque()
        self._leased: deque[tuple[int, Poll]] = deque()
        self._layouts: dict[str, bytes] = {}
        self._newest: dict[int, str] = {}
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

    def add_layout(self, identifier: str, packed: bytes, interval_ms: int) -> None:
        """Store a layout for later polls of its group, until the group gets another layout."""
        self._newest[interval_ms] = identifier
        self._layouts[identifier] = packed
        self._forget_layouts()

    def keep_groups(self, intervals_ms: Collection[int]) -> None:
        """Forget groups of other intervals: if one returns, a layout precedes its first poll."""
        self._newest = {ms: newest for ms, newest in self._newest.items() if ms in intervals_ms}
        self._forget_layouts()

    def put(self, poll: Poll) -> None:
        """Append a poll; while the queue is too full, drop the oldest poll that is not leased."""
        self._sequence += 1
        self._waiting.append((self._sequence, poll))
        self._bytes += _size(poll)
        while self._is_full() and len(self._waiting) > 1:
            _, oldest = self._waiting.popleft()
            self._bytes -= _size(oldest)
            self.dropped += 1

    def lease(self, max_bytes: int) -> Lease:
        """Lease the oldest polls that are not leased yet, until `max_bytes` in all are leased."""
        polls: list[tuple[int, Poll]] = []
        while self._waiting and (not self._leased or self._leased_bytes < max_bytes):
            item = self._waiting.popleft()
            self._leased.append(item)
            self._leased_bytes += _size(item[1])
            polls.append(item)
        needed = {poll.layout_id for _, poll in polls}
        return Lease(tuple(polls), {i: self._layouts[i] for i in needed if i in self._layouts})

    def acknowledge(self, sequence: int) -> None:
        """Remove the leased polls up to and including `sequence`: they are safe in the spool."""
        while self._leased and self._leased[0][0] <= sequence:
            _, poll = self._leased.popleft()
            self._leased_bytes -= _size(poll)
            self._bytes -= _size(poll)

    def release(self) -> None:
        """Cancel all leases: the uploader that held them has exited."""
        self._waiting.extendleft(reversed(self._leased))
        self._leased.clear()
        self._leased_bytes = 0

    def _forget_layouts(self) -> None:
        needed = {poll.layout_id for _, poll in (*self._leased, *self._waiting)}
        needed |= set(self._newest.values())
        self._layouts = {i: kept for i, kept in self._layouts.items() if i in needed}

    def _is_full(self) -> bool:
        return len(self) > self._max_polls or self._bytes > self._max_bytes


def _size(poll: Poll) -> int:
    return len(poll.packed) + _OVERHEAD_BYTES
