"""The ticks of one interval: which were polled, and how many were not."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.spool.account import SpoolState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@dataclass(slots=True)
class Track:
    """Counts the ticks of one interval that lie between its polls.

    `newest_ms` is its newest poll, or the poll of another interval after which this one began; 0
    if there was none yet: then nothing can be missing. Ticks up to and including `counted_ms` are
    counted; `pending` of them were missed, for the next poll to tell. `excuse` says why, where that
    is known before it. `first_ms` is the first poll of its own.
    """

    interval_ms: int
    newest_ms: int = 0
    counted_ms: int = 0
    pending: int = 0
    excuse: str = ""
    first_ms: int = 0

    def begin(self, newest_ms: int, after_ms: int = 0) -> None:
        """Count ticks after a poll, and after a boundary that comes later, if it does."""
        self.newest_ms = newest_ms
        self.counted_ms = max(newest_ms, after_ms)

    def poll(self, timestamp_ms: int) -> int:
        """Note a poll. Returns how many ticks before it were missed."""
        self.first_ms = self.first_ms or timestamp_ms
        self.count_until(timestamp_ms)
        missed, self.pending, self.excuse = self.pending, 0, ""
        self.begin(timestamp_ms)
        return missed

    def missed_since(self, newest_ms: int) -> int:
        """How many ticks lie between a poll of an earlier agent and the first poll of this one."""
        return ticks_between(newest_ms, self.first_ms, self.interval_ms)

    def count_until(self, timestamp_ms: int) -> None:
        """Count the ticks before a time."""
        if self.newest_ms:
            self.pending += ticks_between(self.counted_ms, timestamp_ms, self.interval_ms)
            self.counted_ms = max(self.counted_ms, timestamp_ms - 1)

    def take_over(self, other: Track) -> None:
        """Tell with the next poll what is pending in a track that ended."""
        self.newest_ms = min(self.newest_ms, other.newest_ms)
        self.excuse = self.excuse or other.excuse
        self.pending += other.pending


def ticks_between(earlier_ms: int, later_ms: int, interval_ms: int) -> int:
    """How many ticks lie strictly between two times."""
    return max(0, (later_ms - 1) // interval_ms - earlier_ms // interval_ms)


# The account of every tick and every poll.
#
#     polled = delivered + in the spool + in quarantine + dropped (by reason) + in the channel
#
# and, beside it, the ticks that were never polled, with when and why. What the spool knows, it
# keeps in the transactions that change it; what only control knows (polls that the channel had to
# drop, ticks that were missed) goes into the spool as the `book`, with the polls that follow. So the
# account goes on after a restart.

#: Gaps kept with when and why; older ones only in the counts.
_GAPS: Final = 20
AGENT_WAS_DOWN: Final = "the agent was down"
CHANNEL_FULL: Final = "the channel was full"


@dataclass(frozen=True, slots=True)
class Gap:
    """Ticks that were never polled: how many, between which two polls, and why."""

    ticks: int
    after_ms: int
    before_ms: int
    reason: str


class Ledger:
    """Counts polls as they come in, and the ticks between them that did not.

    Ticks are the multiples of each interval that was in force at their time, so what is missing
    between two polls of an interval shows in their timestamps, whatever the reason was. `polled` is
    of this control process; `last_poll_ms` is the newest poll of any interval.
    """

    def __init__(self, *intervals_ms: int) -> None:
        self._tracks = {interval_ms: Track(interval_ms) for interval_ms in intervals_ms}
        self.polled = 0
        self.last_poll_ms = 0
        self.missed: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.gaps: deque[Gap] = deque(maxlen=_GAPS)
        self.account: SpoolState | None = None
        self._dropped_before = 0

    @property
    def intervals_ms(self) -> list[int]:
        """Those in force, the shortest first."""
        return sorted(self._tracks)

    @property
    def interval_ms(self) -> int:
        """The shortest one: after so long there is another poll."""
        return min(self._tracks)

    @property
    def polls_per_s(self) -> float:
        """How many new polls come, of all intervals."""
        return sum(1000 / interval_ms for interval_ms in self._tracks)

    def poll(self, timestamp_ms: int, reason: str, interval_ms: int) -> Gap | None:
        """Count a poll; `reason` tells why ticks before it were missed. Returns the gap, if any."""
        if not self.last_poll_ms:
            self._begin(timestamp_ms)
        track = self._tracks[interval_ms]
        after_ms, why = track.newest_ms, track.excuse or reason
        gap = None
        ticks = track.poll(timestamp_ms)
        if ticks:
            gap = self._gap(ticks, after_ms, timestamp_ms, why)
        self.polled += 1
        self.last_poll_ms = timestamp_ms
        return gap

    def excuse(self, reason: str) -> None:
        """Say why ticks are missed of each interval before its next poll."""
        for track in self._tracks.values():
            track.excuse = track.excuse or reason

    def change_intervals(self, intervals_ms: Collection[int], after_ms: int) -> None:
        """Count by other intervals what is due after `after_ms`.

        Those that stay go on. What is pending of those that go is told by a new one, if there is any.
        """
        gone = [track for ms, track in self._tracks.items() if ms not in intervals_ms]
        new = [Track(ms) for ms in sorted(intervals_ms) if ms not in self._tracks]
        staying = [track for ms, track in self._tracks.items() if ms in intervals_ms]
        if self.last_poll_ms:
            for track in new:
                track.begin(self.last_poll_ms, after_ms)
        for track in gone:
            track.count_until(after_ms + 1)
            if new:
                new[0].take_over(track)
            elif track.pending:
                min(staying, key=lambda one: one.interval_ms).take_over(track)
        self._tracks = {track.interval_ms: track for track in (*staying, *new)}

    def settle(self, account: SpoolState) -> list[Gap]:
        """Take the spool's account; the first one tells also what was before this process.

        Where it came late, polls came before it: returns the gaps before the first of them.
        """
        gaps = self._go_on_from(account) if self.account is None else []
        self.account = account
        return gaps

    @property
    def total_polled(self) -> int:
        """All polls, those of earlier control processes too."""
        if self.account is None:
            return self.polled
        earlier = self.account.kept - self.account.kept_of_channel + self._dropped_before
        return earlier + self.polled

    def total_dropped(self) -> Counter[str]:
        """All dropped polls by reason, the channel's and the spool's."""
        return self.dropped + Counter(self.account.dropped if self.account else {})

    def unaccounted(self, in_channel: int) -> int:
        """What the account does not explain. Anything but 0 is a defect, and is shown."""
        account = self.account or SpoolState()
        explained = account.delivered + account.waiting + account.quarantined
        return self.total_polled - explained - self.total_dropped().total() - in_channel

    def figures(self, in_channel: int) -> dict[str, int]:
        """How it stands, in numbers that go on over restarts: polls, ticks, and a lag in ms."""
        account = self.account or SpoolState()
        behind = self.last_poll_ms - account.delivered_ms if account.delivered_ms else 0
        return {
            "polled": self.total_polled,
            "delivered": account.delivered,
            "waiting": account.waiting + in_channel,
            "quarantined": account.quarantined,
            "dropped": self.total_dropped().total(),
            "missed": self.missed.total(),
            "lag": max(0, behind),
        }

    def book(self) -> str:
        """What must be kept for the next control process."""
        return json.dumps(
            {"missed": self.missed, "dropped": self.dropped, "gaps": [asdict(g) for g in self.gaps]}
        )

    def _begin(self, newest_ms: int) -> None:
        self.last_poll_ms = newest_ms
        for track in self._tracks.values():
            track.begin(newest_ms)

    def _gap(self, ticks: int, after_ms: int, before_ms: int, reason: str) -> Gap:
        self.missed[reason] += ticks
        gap = Gap(ticks, after_ms, before_ms, reason)
        self.gaps.append(gap)
        return gap

    def _go_on_from(self, account: SpoolState) -> list[Gap]:
        book = _read(account.book)
        before = Counter(_counts(book.get("dropped")))
        self._dropped_before = before.total()
        self.dropped += before
        self.missed += Counter(_counts(book.get("missed")))
        self.gaps.extendleft(reversed(_gaps(book.get("gaps"))))
        if not account.newest_ms:
            return []
        if not self.polled:
            self.last_poll_ms = account.newest_ms
        return list(self._gaps_since(account.newest_ms))

    def _gaps_since(self, newest_ms: int) -> Iterator[Gap]:
        """Let each track go on from the newest poll of an earlier agent."""
        for track in self._tracks.values():
            if not track.first_ms:
                track.begin(newest_ms)
                track.excuse = AGENT_WAS_DOWN
            elif ticks := track.missed_since(newest_ms):
                yield self._gap(ticks, newest_ms, track.first_ms, AGENT_WAS_DOWN)


def _read(book: str) -> dict[str, Any]:
    try:
        content = json.loads(book or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _counts(content: object) -> dict[str, int]:
    if not isinstance(content, dict):
        return {}
    return {str(reason): n for reason, n in content.items() if isinstance(n, int) and n > 0}


def _gaps(content: object) -> list[Gap]:
    try:
        return [Gap(**gap) for gap in content] if isinstance(content, list) else []
    except TypeError:
        return []
