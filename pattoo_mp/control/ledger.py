"""The ledger: counts every poll and every missed tick.

    polled = delivered + in the spool + in quarantine + dropped (by reason) + in the channel

It also keeps the ticks that were not polled, with time and reason. What the spool knows, the spool
records in the transactions that change it. What only control knows (polls dropped by the channel,
missed ticks) is stored in the spool as a snapshot, together with the next polls. So the ledger
continues after a restart.

A gap that is a leap of the clock is not a gap of so many missed ticks: a host without a real-time
clock begins in 1970, and "1796002261 ticks missed" would hide every later figure. `is_leap` draws
the line. Such a gap is reported with its length, and counts no ticks.

Time also passes for polls that wait, but not in a leap, nor while no agent ran: no clock shows how
long that was. So these times are kept as `pauses`, and the spool leaves them out of a poll's age.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.model import CLOCK_LEAPED
from pattoo_mp.spool.account import OutputState, SpoolState
from pattoo_mp.spool.pauses import Pause, Pauses
from pattoo_mp.util import json_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@dataclass(slots=True)
class Track:
    """Counts the ticks of one interval between its polls.

    `newest_ms` is its newest poll, or the poll of another interval after which this one began; 0
    before the first poll, when nothing can be missing. Ticks up to and including `counted_ms` are
    counted; `pending` of them were missed and are reported with the next poll. `excuse` is the reason
    if that is known before the next poll.
    """

    interval_ms: int
    newest_ms: int = 0
    counted_ms: int = 0
    pending: int = 0
    excuse: str = ""

    def begin(self, newest_ms: int, after_ms: int = 0) -> None:
        """Count ticks from a poll on, or from `after_ms` on if that is later."""
        self.newest_ms = newest_ms
        self.counted_ms = max(newest_ms, after_ms)

    def poll(self, timestamp_ms: int) -> int:
        """Record a poll. Return how many ticks before it were missed."""
        self.count_until(timestamp_ms)
        missed, self.pending, self.excuse = self.pending, 0, ""
        self.begin(timestamp_ms)
        return missed

    def count_until(self, timestamp_ms: int) -> None:
        """Count the ticks before `timestamp_ms`."""
        if self.newest_ms:
            self.pending += ticks_between(self.counted_ms, timestamp_ms, self.interval_ms)
            self.counted_ms = max(self.counted_ms, timestamp_ms - 1)

    def take_over(self, other: Track) -> None:
        """Take over the pending ticks of a track that ended, to report them with the next poll."""
        self.newest_ms = min(self.newest_ms, other.newest_ms)
        self.excuse = self.excuse or other.excuse
        self.pending += other.pending


def ticks_between(earlier_ms: int, later_ms: int, interval_ms: int) -> int:
    """Return the number of ticks strictly between two times."""
    return max(0, (later_ms - 1) // interval_ms - earlier_ms // interval_ms)


_NONE: Final[Counter[str]] = Counter()
#: How many gaps are kept with time and reason; older ones are only counted.
_GAPS: Final = 20
AGENT_WAS_DOWN: Final = "the agent was down"
COLLECTOR_WAS_DOWN: Final = "the collector was down"
COLLECTOR_HUNG: Final = "the collector hung"
CHANNEL_FULL: Final = "the channel was full"
#: In these gaps, waiting polls do not grow older.
_PAUSES: Final = frozenset({AGENT_WAS_DOWN, COLLECTOR_WAS_DOWN, COLLECTOR_HUNG, CLOCK_LEAPED})


#: The clock is corrected by hours after a suspend or a wrong time zone; by more if it was wrong.
_LEAP_MS: Final = 86_400_000
#: 2020. No agent ran before, so an earlier time is from a clock that was not set yet.
_NOT_SET_MS: Final = 1_577_836_800_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Missed ticks: how many, between which two polls, and why. A leap of the clock counts none."""

    ticks: int
    after_ms: int
    before_ms: int
    reason: str

    @property
    def length_ms(self) -> int:
        """The time between the two polls."""
        return self.before_ms - self.after_ms


def is_leap(after_ms: int, before_ms: int, reason: str) -> bool:
    """Whether a gap is from a clock that was wrong, so that its ticks never came."""
    was_set = reason == CLOCK_LEAPED or after_ms < _NOT_SET_MS
    return was_set and before_ms - after_ms >= _LEAP_MS


#: The reason for which polls were dropped, and the output that lacks them; empty if all do.
Dropped = tuple[str, str]


class Ledger:
    """Counts the polls that arrive, and the ticks between them that were missed.

    Ticks are the multiples of each interval in force at their time. So the timestamps of two polls
    of an interval show what is missing between them, whatever the reason was. `polled` counts the
    polls of this control process; `last_poll_ms` is the newest poll of any interval. `account` is the
    spool's account; None until the uploader has sent it. `earlier_ms` is the newest tick of earlier
    control processes that is known without the spool; 0 if none is.

    A hub's polls are `of_spokes`, each with ticks of its own. So its collector counts them (`spoke_poll`).
    """

    def __init__(self, *intervals_ms: int, earlier_ms: int = 0, of_spokes: bool = False) -> None:
        self._earlier_ms = earlier_ms
        self._of_spokes = of_spokes
        self._tracks = {interval_ms: Track(interval_ms) for interval_ms in intervals_ms}
        self.polled = 0
        self.last_poll_ms = 0
        self.missed: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.gaps: deque[Gap] = deque(maxlen=_GAPS)
        self.pauses = Pauses()
        self.account: SpoolState | None = None
        self._dropped_before = 0
        #: The first poll of this process, and the intervals that were in force then.
        self._began_ms = 0
        self._began_with: list[int] = []

    @property
    def intervals_ms(self) -> list[int]:
        """The intervals in force, the shortest first."""
        return sorted(self._tracks)

    @property
    def interval_ms(self) -> int:
        """The shortest interval in force."""
        return min(self._tracks)

    @property
    def newest_tick_ms(self) -> int:
        """The newest tick that was polled or reported as missed, also by an earlier process.

        Without an earlier poll in the spool's account, the agent begins anew: someone has removed the
        spool, perhaps since its polls had times far ahead.
        """
        if self._of_spokes:
            return self.last_poll_ms
        is_new = self.account is not None and not self.account.newest_ms
        counted_ms = max(track.counted_ms for track in self._tracks.values())
        return max(self.last_poll_ms, counted_ms, 0 if is_new else self._earlier_ms)

    @property
    def polls_per_s(self) -> float:
        """The rate of new polls, over all intervals."""
        return sum(1000 / interval_ms for interval_ms in self._tracks)

    def poll(self, timestamp_ms: int, reason: str, interval_ms: int) -> Gap | None:
        """Count a poll; `reason` says why ticks before it were missed. Return the gap, if any."""
        if not self._began_ms:
            self._began_ms, self._began_with = timestamp_ms, self.intervals_ms
        if not self.last_poll_ms:
            self._begin(timestamp_ms)
        track = self._tracks[interval_ms]
        after_ms, why = track.newest_ms, track.excuse or reason
        # `count_missed`, also that of an earlier process, has already told the ticks up to here.
        told_ms = after_ms if track.pending else max(after_ms, track.counted_ms)
        gap = None
        ticks = track.poll(timestamp_ms)
        if ticks:
            gap = self._gap(ticks, told_ms, timestamp_ms, why)
        # `count_missed` may have counted the ticks of a collector that hung.
        if why in _PAUSES and (ticks or why == COLLECTOR_HUNG):
            # Another interval may have been polled since, or the gap was recorded for it.
            self.pauses.add(Pause(max(after_ms, self.last_poll_ms), timestamp_ms, why))
        self.polled += 1
        self.last_poll_ms = timestamp_ms
        return gap

    def spoke_poll(self, timestamp_ms: int, now_ms: int, missed: int, reason: str) -> None:
        """Count a poll of a spoke. `missed` of its ticks before it were missed, for `reason`."""
        if not self._began_ms:
            self._began_ms = now_ms
            if self.account is not None and 0 < self.account.newest_ms < now_ms:
                self.pauses.add(Pause(self.account.newest_ms, now_ms, AGENT_WAS_DOWN))
        if missed > 0:
            self.missed[reason] += missed
        self.polled += 1
        # The clock of a spoke may be ahead.
        self.last_poll_ms = max(self.last_poll_ms, min(timestamp_ms, now_ms))

    def count_missed(self, now_ms: int, reason: str) -> list[Gap]:
        """Count the ticks missed until now, when no poll comes. Return the gaps, one per interval."""
        gaps = []
        for track in self._tracks.values():
            after_ms = max(track.newest_ms, track.counted_ms)
            track.count_until(now_ms)
            ticks, track.pending = track.pending, 0
            if ticks:
                gaps.append(self._gap(ticks, after_ms, now_ms, track.excuse or reason))
        return gaps

    def excuse(self, reason: str) -> None:
        """Set the reason for ticks that each interval misses before its next poll."""
        for track in self._tracks.values():
            track.excuse = track.excuse or reason

    def change_intervals(self, intervals_ms: Collection[int], after_ms: int) -> None:
        """Count the ticks after `after_ms` by other intervals.

        Intervals that stay continue. Pending ticks of those that end go to a new interval, or to the
        shortest one that stays if there is no new one.
        """
        ended = [track for ms, track in self._tracks.items() if ms not in intervals_ms]
        new = [Track(ms) for ms in sorted(intervals_ms) if ms not in self._tracks]
        staying = [track for ms, track in self._tracks.items() if ms in intervals_ms]
        if self.last_poll_ms and not self._of_spokes:
            for track in new:
                track.begin(self.last_poll_ms, after_ms)
        for track in ended:
            track.count_until(after_ms + 1)
            if new:
                new[0].take_over(track)
            elif track.pending:
                min(staying, key=lambda track: track.interval_ms).take_over(track)
        self._tracks = {track.interval_ms: track for track in (*staying, *new)}

    def update_account(self, account: SpoolState) -> list[Gap]:
        """Store the spool's account. The first one also covers the time before this process.

        If polls arrived before the first account, return the gaps before these polls.
        """
        gaps = self._resume_from(account) if self.account is None else []
        self.account = account
        return gaps

    @property
    def total_polled(self) -> int:
        """The number of all polls, including those of earlier control processes."""
        if self.account is None:
            return self.polled
        earlier = self.account.kept - self.account.kept_of_channel + self._dropped_before
        return earlier + self.polled

    def total_dropped(self) -> dict[Dropped, int]:
        """Return all dropped polls, those of the channel and of the spool.

        A reason is the same one however many outputs there are, so that a run of drops goes on when
        an output is added or removed.
        """
        outputs = self.account.outputs if self.account else {}
        of_outputs = {
            (reason, name): polls
            for name, output in outputs.items()
            for reason, polls in output.dropped.items()
        }
        return {(reason, ""): polls for reason, polls in self.dropped.items()} | of_outputs

    def dropped_of(self, output: OutputState) -> Counter[str]:
        """Return the dropped polls of one output by reason, with those of the channel."""
        return self.dropped + output.dropped

    def before(self, output: OutputState) -> int:
        """Return how many polls were kept before an output was configured: it is not to have them."""
        return self.account.kept - output.kept if self.account else 0

    def unaccounted(self, in_channel: int) -> int:
        """Return the polls that the ledger cannot explain. Anything but 0 is a defect, and is shown.

        Each output must explain the polls that were kept since it was configured.
        """
        account = self.account or SpoolState()
        not_kept = self.total_polled - account.kept - self.dropped.total() - in_channel
        return not_kept + sum(output.unexplained for output in account.outputs.values())

    def figures(self, in_channel: int) -> dict[str, dict[str, int]]:
        """Return totals that continue over restarts: polls, ticks, and the lag in ms.

        Those of the whole agent have an empty name. With several outputs, what each has of its own is
        by the output's name; with one, all is that of the agent.
        """
        outputs = (self.account or SpoolState()).outputs
        shared = {"polled": self.total_polled, "missed": self.missed.total()}
        own = {name: self._figures_of(output, in_channel) for name, output in outputs.items()}
        if len(own) > 1:
            return {"": shared, **own}
        return {
            "": shared | (own.popitem()[1] if own else self._figures_of(OutputState(), in_channel))
        }

    def _figures_of(self, output: OutputState, in_channel: int) -> dict[str, int]:
        lag_ms = 0
        if output.delivered_ms:
            leaps_ms = self.pauses.total_ms(output.delivered_ms, CLOCK_LEAPED)
            lag_ms = self.last_poll_ms - output.delivered_ms - leaps_ms
        return {
            "delivered": output.delivered,
            "waiting": output.waiting + in_channel,
            "quarantined": output.quarantined,
            "dropped": self.dropped_of(output).total(),
            "lag": max(0, lag_ms),
        }

    def snapshot(
        self, later: Counter[str] = _NONE, later_gaps: int = 0, *, is_last: bool = False
    ) -> str:
        """Return what the next control process needs, as JSON. The spool stores it as `book`.

        Without the last `later_gaps` gaps, in which `later` ticks were missed, by reason. If no poll
        follows (`is_last`), it says up to when the ticks of each interval are counted.
        """
        counted_ms = {str(ms): track.counted_ms for ms, track in self._tracks.items()}
        known = max(0, len(self.gaps) - later_gaps)
        gaps = list(self.gaps)
        later_ms = {gap.before_ms for gap in gaps[known:]}
        return json.dumps(
            {
                "missed": self.missed - later,
                "dropped": self.dropped,
                "gaps": [asdict(gap) for gap in gaps[:known]],
                "pauses": [row for row in self.pauses.rows() if row[1] not in later_ms],
                "counted_ms": counted_ms if is_last else {},
            }
        )

    def _begin(self, newest_ms: int) -> None:
        self.last_poll_ms = newest_ms
        for track in self._tracks.values():
            track.begin(newest_ms)

    def _gap(self, ticks: int, after_ms: int, before_ms: int, reason: str) -> Gap:
        if is_leap(after_ms, before_ms, reason):
            ticks = 0
        else:
            self.missed[reason] += ticks
        gap = Gap(ticks, after_ms, before_ms, reason)
        self.gaps.append(gap)
        return gap

    def _resume_from(self, account: SpoolState) -> list[Gap]:
        snapshot = _read_snapshot(account.book)
        dropped = Counter(_counts(snapshot.get("dropped")))
        self._dropped_before = dropped.total()
        self.dropped += dropped
        self.missed += Counter(_counts(snapshot.get("missed")))
        self.pauses.add(*Pauses.read(account.book))
        ours = list(self.gaps)
        self.gaps = deque(_gaps(snapshot.get("gaps")), maxlen=_GAPS)
        counted_ms = _counts(snapshot.get("counted_ms"))
        is_later = account.newest_ms and not self._of_spokes
        missed = list(self._gaps_since(account.newest_ms, counted_ms)) if is_later else []
        self.gaps.extend(ours)
        return missed

    def _gaps_since(self, newest_ms: int, counted_ms: dict[str, int]) -> Iterator[Gap]:
        """Continue each track from the newest poll of an earlier agent; yield gaps already known.

        The earlier agent has counted the ticks up to `counted_ms`, for each interval.
        """
        if not self.polled:
            self._begin(newest_ms)
            for interval_ms, track in self._tracks.items():
                track.begin(newest_ms, counted_ms.get(str(interval_ms), 0))
            self.excuse(AGENT_WAS_DOWN)
            return
        self.pauses.add(Pause(newest_ms, self._began_ms, AGENT_WAS_DOWN))
        for interval_ms in self._began_with:
            after_ms = max(newest_ms, counted_ms.get(str(interval_ms), 0))
            if ticks := ticks_between(after_ms, self._began_ms, interval_ms):
                yield self._gap(ticks, after_ms, self._began_ms, AGENT_WAS_DOWN)


def _read_snapshot(text: str) -> dict[str, Any]:
    try:
        content = json_text.parse(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _counts(content: object) -> dict[str, int]:
    if not isinstance(content, dict):
        return {}
    return {str(reason): n for reason, n in content.items() if isinstance(n, int) and n > 0}


def _gaps(content: object) -> list[Gap]:
    try:
        return [_gap(**gap) for gap in content] if isinstance(content, list) else []
    except (TypeError, ValueError, OverflowError):
        return []


def _gap(ticks: Any, after_ms: Any, before_ms: Any, reason: Any) -> Gap:  # noqa: ANN401 - from a file
    return Gap(int(ticks), int(after_ms), int(before_ms), str(reason))
