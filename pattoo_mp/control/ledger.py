"""The account of every tick and every poll.

    polled = delivered + in the spool + in quarantine + dropped (by reason) + in the channel

and, beside it, the ticks that were never polled, with when and why. What the spool knows, it
keeps in the transactions that change it; what only control knows (polls that the channel had to
drop, ticks that were missed) goes into the spool as the `book`, with the polls that follow. So the
account goes on after a restart.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pattoo_mp.messages import Account

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


@dataclass(slots=True)
class Ledger:
    """Counts polls as they come in, and the ticks between them that did not.

    Ticks are the multiples of the interval that was in force at their time, so what is missing
    between two polls shows in their timestamps, whatever the reason was. `polled` is of this
    control process.
    """

    interval_ms: int
    polled: int = 0
    last_poll_ms: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    gaps: deque[Gap] = field(default_factory=lambda: deque(maxlen=_GAPS))
    account: Account | None = None
    _dropped_before: int = 0
    # Since the newest poll: when the interval changed, and the ticks before that time.
    _changed_ms: int = 0
    _before_change: int = 0

    def poll(self, timestamp_ms: int, reason: str) -> Gap | None:
        """Count a poll; `reason` tells why ticks before it were missed. Returns the gap, if any."""
        gap = None
        if self.last_poll_ms:
            why = reason if self.polled else AGENT_WAS_DOWN
            ticks = self._before_change + self._ticks_until(timestamp_ms)
            if ticks:
                self.missed[why] += ticks
                gap = Gap(ticks, self.last_poll_ms, timestamp_ms, why)
                self.gaps.append(gap)
        self.polled += 1
        self.last_poll_ms = timestamp_ms
        self._before_change = 0
        return gap

    def change_interval(self, interval_ms: int, after_ms: int) -> None:
        """Count by another interval what is due after `after_ms`."""
        if self.last_poll_ms:
            self._before_change += self._ticks_until(after_ms + 1)
            self._changed_ms = after_ms
        self.interval_ms = interval_ms

    def settle(self, account: Account) -> None:
        """Take the spool's account; the first one tells also what was before this process."""
        if self.account is None:
            self._go_on_from(account)
        self.account = account

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
        account = self.account or Account()
        explained = account.delivered + account.waiting + account.quarantined
        return self.total_polled - explained - self.total_dropped().total() - in_channel

    def figures(self, in_channel: int) -> dict[str, int]:
        """How it stands, in numbers that go on over restarts: polls, ticks, and a lag in ms."""
        account = self.account or Account()
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

    def _ticks_until(self, timestamp_ms: int) -> int:
        """The ticks since the newest poll that are not counted yet, up to before a time."""
        since_ms = max(self.last_poll_ms, self._changed_ms)
        return ticks_between(since_ms, timestamp_ms, self.interval_ms)

    def _go_on_from(self, account: Account) -> None:
        book = _read(account.book)
        before = Counter(_counts(book.get("dropped")))
        self._dropped_before = before.total()
        self.dropped += before
        self.missed += Counter(_counts(book.get("missed")))
        self.gaps.extendleft(reversed(_gaps(book.get("gaps"))))
        if not self.polled:
            self.last_poll_ms = account.newest_ms


def ticks_between(earlier_ms: int, later_ms: int, interval_ms: int) -> int:
    """How many ticks lie strictly between two times."""
    return max(0, (later_ms - 1) // interval_ms - earlier_ms // interval_ms)


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
