"""What the workers say, and what control does about it: polls into the channel and out of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import log
from pattoo_mp.control.ledger import CHANNEL_FULL
from pattoo_mp.control.rates import DrainRate, RecentCounts, window_s
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind, UploadState
from pattoo_mp.model import Poll
from pattoo_mp.spool.account import SpoolState
from pattoo_mp.spool.limits import QUARANTINE_FULL
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Collection

    from pattoo_mp.control.ledger import Gap, Ledger
    from pattoo_mp.control.rates import Counts
    from pattoo_mp.control.worker import Worker
    from pattoo_mp.ipc.channel import Channel
    from pattoo_mp.ipc.link import Link, Message

_LOG = logging.getLogger(__name__)

#: What the uploader may hold that is not in the spool yet.
_LEASED_BYTES: Final = 1 << 20
_NOTHING_NOTED: Final = (0, 0)
_COLLECTOR_WAS_DOWN: Final = "the collector was down"


class Broker:
    """Carries polls from the collector to the uploader by way of the channel."""

    def __init__(self, channel: Channel, ledger: Ledger) -> None:
        self.channel = channel
        self.ledger = ledger
        self.upload = UploadState()
        self.recent = RecentCounts()
        self.drain_rate = DrainRate()
        self.leaving = False
        self.closed = False
        self.any_kept = False
        self._upload_before = UploadState()
        self._noted = _NOTHING_NOTED
        self._last_layout_id = ""

    def handle(self, worker: Worker, message: Message) -> None:
        """Act on one message of a worker."""
        if self.ledger.account is not None:
            self.recent.note(window_s(self.ledger.interval_ms), self.counts)
        match message:
            case [Kind.LAYOUT | Kind.POLL | Kind.INTERVALS | Kind.LEDGER as kind, *fields]:
                self._collector_said(worker, kind, fields)
            case [Kind.KEPT | Kind.UPLOAD | Kind.LEAVING as kind, *fields]:
                self._uploader_said(worker, kind, fields)
            case [Kind.APPLIED, number]:
                worker.settings_number = number
            case [Kind.NOTE, troubles]:
                worker.troubles = troubles
            case [Kind.FATAL, reason]:
                worker.fatal = reason
            case _:
                _LOG.error("The %s says what nobody understands: %.80r", worker.role.name, message)

    def collector_started(self, intervals_ms: Collection[int], now_ms: int) -> None:
        """A new collector: what is missing before its first polls was missed by its absence.

        If its intervals are other ones, the ticks are of those from now on.
        """
        if set(intervals_ms) != set(self.ledger.intervals_ms):
            self._change_intervals(intervals_ms, max(now_ms, self.ledger.last_poll_ms))
        self.ledger.excuse(_COLLECTOR_WAS_DOWN)

    def uploader_gone(self) -> None:
        """Take back what the uploader had; the next one gets it."""
        self.channel.release()
        self.leaving = self.closed = False
        self._last_layout_id = ""
        self._upload_before = self.upload
        self.drain_rate.stopped()
        self._noted = _NOTHING_NOTED

    def lease_to(self, uploader: Worker) -> None:
        """Give the uploader what waits, as far as it may hold more."""
        if uploader.link is None or self.closed:
            return
        lease = self.channel.lease(_LEASED_BYTES)
        try:
            if lease.polls:
                self._send_book(uploader.link)
            for sequence, poll in lease.polls:
                # The uploader and the spool remember no more than the layout of the poll before.
                if poll.layout_id != self._last_layout_id and poll.layout_id in lease.layouts:
                    packed = lease.layouts[poll.layout_id]
                    uploader.link.send(Kind.LAYOUT, poll.layout_id, packed)
                self._last_layout_id = poll.layout_id
                uploader.link.send(
                    Kind.POLL, sequence, poll.layout_id, poll.timestamp_ms, poll.packed
                )
        except LinkClosedError:
            _LOG.debug("The uploader is gone; its successor gets the polls.")

    def close_to(self, uploader: Worker) -> None:
        """Tell the uploader that no more will come; it keeps what it has and ends."""
        if uploader.link is None or self.closed:
            return
        self.closed = True
        try:
            uploader.link.send(Kind.CLOSE)
        except LinkClosedError:
            _LOG.debug("The uploader is gone already.")

    def counts(self) -> Counts:
        """What is counted, as it stands: the difference of two of these is what came between."""
        account = self.ledger.account or SpoolState()
        return {
            "polled": self.ledger.polled,
            "missed": self.ledger.missed.total(),
            "delivered": account.delivered,
            "dropped": self.ledger.total_dropped().total(),
            # All that ever were set aside: what is full takes another in the place of the oldest.
            "quarantined": account.quarantined + account.dropped.get(QUARANTINE_FULL, 0),
            "posts": self.upload.posts,
            "sent_bytes": self.upload.sent_bytes,
        }

    def _collector_said(self, collector: Worker, kind: Kind, fields: list[Any]) -> None:
        if kind == Kind.INTERVALS:
            self._change_intervals(*fields)
        elif kind == Kind.LEDGER:
            self._tell_ledger(collector)
        else:
            collector.made_progress = True
            self._collected(kind, fields)

    def _collected(self, kind: Kind, fields: list[Any]) -> None:
        if kind == Kind.LAYOUT:
            self.channel.add_layout(*fields)
            return
        *poll, reason, interval_ms = fields
        gap = self.ledger.poll(poll[1], reason, interval_ms)
        if gap is not None:
            _tell(gap)
        dropped = self.channel.dropped
        self.channel.put(Poll(*poll))
        if self.channel.dropped > dropped:
            self.ledger.dropped[CHANNEL_FULL] += self.channel.dropped - dropped

    def _change_intervals(self, intervals_ms: Collection[int], after_ms: int) -> None:
        self.ledger.change_intervals(intervals_ms, after_ms)
        self.channel.keep_groups(intervals_ms)

    def _tell_ledger(self, collector: Worker) -> None:
        """Answer how it stands; not before the spool has told its part."""
        if collector.link is None or self.ledger.account is None:
            return
        try:
            collector.link.send(Kind.LEDGER, self.ledger.figures(len(self.channel)))
        except LinkClosedError:
            _LOG.debug("The collector is gone; its successor asks by itself.")

    def _uploader_said(self, uploader: Worker, kind: Kind, fields: list[Any]) -> None:
        if kind == Kind.LEAVING:
            self.leaving = True
        elif kind == Kind.UPLOAD:
            state, account = fields
            self.upload = UploadState(*state).after(self._upload_before)
            self._settle(SpoolState.of(account))
            self._kept(uploader, account["sequence"])
        else:
            self._kept(uploader, fields[0])

    def _settle(self, account: SpoolState) -> None:
        before = self.ledger.account
        for gap in self.ledger.settle(account):
            _tell(gap)
        if before is not None and account.delivered > before.delivered:
            self.drain_rate.taken(account.delivered - before.delivered)
        if self.upload.failing_since_ms or not account.waiting:
            self.drain_rate.stopped()

    def _kept(self, uploader: Worker, sequence: int) -> None:
        if sequence:
            uploader.made_progress = self.any_kept = True
            self.channel.acknowledge(sequence)

    def _send_book(self, link: Link) -> None:
        """Give the uploader what only control knows, if it changed and polls follow to keep it."""
        # No gap is without ticks that were missed: these two tell whether there is anything new.
        noted = (self.ledger.missed.total(), self.ledger.dropped.total())
        if noted != self._noted:
            link.send(Kind.BOOK, self.ledger.book())
            self._noted = noted


def _tell(gap: Gap) -> None:
    _LOG.warning(
        "%s missed after %d ms, before %d ms (%s to %s): %s.",
        counted(gap.ticks, "tick"),
        gap.after_ms,
        gap.before_ms,
        log.local_time(gap.after_ms / 1000),
        log.local_time(gap.before_ms / 1000),
        gap.reason,
        # A host that is too slow misses ticks all the time; the ledger has the sum.
        extra=log.alike(f"missed: {gap.reason}"),
    )
