"""Handles the messages of the workers, and moves polls from the collector to the uploader."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import log
from pattoo_mp.control.drops import DropLog
from pattoo_mp.control.ledger import CHANNEL_FULL, COLLECTOR_HUNG, COLLECTOR_WAS_DOWN
from pattoo_mp.control.outputs import OutputWatch
from pattoo_mp.control.rates import RecentCounts, window_s
from pattoo_mp.ipc.channel import Missed
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind, UploadState
from pattoo_mp.model import Poll, is_divided, now_ms, part_identifiers
from pattoo_mp.spool.account import SpoolState
from pattoo_mp.util.text import counted, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pattoo_mp.control.ledger import Gap, Ledger
    from pattoo_mp.control.rates import Counts
    from pattoo_mp.control.spokes import Spokes
    from pattoo_mp.control.worker import Worker
    from pattoo_mp.ipc.channel import Channel
    from pattoo_mp.ipc.link import Link, Message

_LOG = logging.getLogger(__name__)

#: Polls that the uploader may hold before they are in the spool.
_LEASED_BYTES: Final = 1 << 20
_COLLECTOR_WAS_DOWN: Final = COLLECTOR_WAS_DOWN
_NOTHING_SENT: Final = (0, 0, 0)


class Broker:
    """Moves polls from the collector to the uploader through the channel, and counts them.

    `outputs` is what is known of each output, in the order of the configuration. `leaving`: the
    uploader asks to exit. `closed`: it was told that no more polls follow. `any_kept`: a poll of this
    control process is safe in the spool. `note_tick` notes the newest tick for the next control process.
    """

    def __init__(
        self,
        channel: Channel,
        ledger: Ledger,
        note_tick: Callable[[int], None] = lambda _: None,
        *,
        spokes: Spokes | None = None,
    ) -> None:
        self.channel = channel
        #: Those of a hub; None for an agent that polls its host.
        self.spokes = spokes
        self.ledger = ledger
        self._note_tick = note_tick
        self.outputs: dict[str, OutputWatch] = {}
        self.recent = RecentCounts()
        self.recent_layouts = RecentCounts()
        self.leaving = False
        self.closed = False
        self.any_kept = False
        self._drops = DropLog()
        self._snapshot_totals = _NOTHING_SENT
        self._last_layout_id = ""
        self._last_parts: frozenset[str] = frozenset()
        #: The layout that the uploader has for each group of a spoke: the spool keeps it.
        self._given: dict[str, str] = {}
        #: How many layouts the collector has sent.
        self.layouts = 0

    def handle(self, worker: Worker, message: Message) -> None:
        """Handle one message of a worker."""
        self._record_recent()
        match message:
            case [
                Kind.PART | Kind.LAYOUT | Kind.POLL | Kind.INTERVALS | Kind.LEDGER as kind,
                *fields,
            ]:
                self._handle_collector(worker, kind, fields)
            case [Kind.SPOKE_POLL | Kind.SPOKES | Kind.FORGET | Kind.GROUPS as kind, *fields]:
                self._handle_spokes(worker, kind, fields)
            case [Kind.KEPT | Kind.UPLOAD | Kind.LEAVING as kind, *fields]:
                self._handle_uploader(worker, kind, fields)
            case [Kind.APPLIED, number]:
                worker.settings_number = number
            case [Kind.NOTE, troubles]:
                worker.troubles = troubles
            case [Kind.FATAL, reason]:
                worker.fatal = reason
            case _:
                _LOG.error("Unknown message from the %s: %.80r", worker.role.name, message)

    def _record_recent(self) -> None:
        if self.ledger.account is None:
            return
        window = window_s(self.ledger.interval_ms)
        self.recent.record(window, self.counts)
        self.recent_layouts.record(window, self.layout_counts)
        for output in self.outputs.values():
            output.recent.record(window, partial(self._counts_of, output))

    def collector_started(self, intervals_ms: Collection[int], now_ms: int) -> None:
        """Prepare for a new collector. Ticks missed before its first polls are due to its absence.

        If its intervals differ, ticks are counted by those from `now_ms` on.
        """
        if set(intervals_ms) != set(self.ledger.intervals_ms):
            self._change_intervals(intervals_ms, max(now_ms, self.ledger.last_poll_ms))
        self.ledger.excuse(_COLLECTOR_WAS_DOWN)
        if self.spokes is not None:
            self.spokes.collector_started(self.channel.last_sequence)

    def count_missed(self, now_ms: int) -> None:
        """Count the ticks missed until now because the collector hung."""
        gaps = self.ledger.count_missed(now_ms, COLLECTOR_HUNG)
        self._note_tick(self.ledger.newest_tick_ms)
        for gap in gaps:
            _log_gap(gap)
            self.channel.note_missed(gap.ticks, gap.reason)

    def uploader_gone(self) -> None:
        """Take back the polls of an uploader that has exited; the next one gets them."""
        self.channel.release()
        self.leaving = self.closed = False
        self._last_layout_id = ""
        self._last_parts = frozenset()
        self._given.clear()
        for output in self.outputs.values():
            output.uploader_gone()
        self._snapshot_totals = _NOTHING_SENT

    def lease_to(self, uploader: Worker) -> None:
        """Send waiting polls to the uploader, as far as it may hold more.

        None before the spool's account is known. With a poll of this process in the spool, its account
        would no longer show when the last poll of an earlier one was made; and the ledger's snapshot
        would replace that of earlier processes.
        """
        if uploader.link is None or self.closed or self.ledger.account is None:
            return
        lease = self.channel.lease(_LEASED_BYTES)
        if not lease.polls:
            return
        self._note_tick(self.ledger.newest_tick_ms)
        first = lease.polls[0][0]
        missed = self.channel.missed_from(first)
        later = sum((each.ticks for each in missed.values()), Counter())
        try:
            with uploader.link.together() as link:
                for sequence, poll in lease.polls:
                    if sequence == first or sequence in missed:
                        later -= missed.pop(sequence, Missed()).ticks
                        later_gaps = sum(each.gaps for each in missed.values())
                        self._send_ledger_snapshot(link, later, later_gaps)
                    self._send_poll(link, sequence, poll, lease.layouts)
        except LinkClosedError:
            _LOG.debug("The uploader has exited; the next one gets the polls.")

    def confirm_to(self, collector: Worker) -> None:
        """Tell a hub's collector what the spool has: a spoke keeps a poll until then."""
        if self.spokes is None or collector.link is None or self.ledger.account is None:
            return
        try:
            self.spokes.confirm(collector.link)
        except LinkClosedError:
            _LOG.debug("The collector has exited; the next one is told.")

    def close_to(self, uploader: Worker) -> None:
        """Tell the uploader that no more polls follow: it saves what it has and exits."""
        if uploader.link is None or self.closed:
            return
        self.closed = True
        try:
            # Polls that are not leased go to another uploader, with a snapshot that it may store.
            if self.ledger.account is not None and self.channel.leased == len(self.channel):
                self._send_ledger_snapshot(uploader.link, Counter(), 0, is_last=True)
            uploader.link.send(Kind.CLOSE)
        except LinkClosedError:
            _LOG.debug("The uploader has already exited.")

    def finish(self) -> None:
        """Log the drops that have no line yet: control ends."""
        self._drops.finish(self.ledger.total_dropped(), several=len(self.outputs) > 1)

    def counts(self) -> Counts:
        """Return the current totals; the difference of two results is what happened in between."""
        return {"polled": self.ledger.polled, "missed": self.ledger.missed.total()}

    def _counts_of(self, output: OutputWatch) -> Counts:
        return output.counts(self.dropped_in_channel)

    @property
    def is_ready(self) -> bool:
        """Whether the agent does its work: a poll is in the spool.

        Of a hub, the spool is open, and spokes are asked; none of them may be there yet.
        """
        if self.spokes is None:
            return self.any_kept
        return self.spokes.are_asked and self.ledger.account is not None

    @property
    def dropped_in_channel(self) -> int:
        """How many polls the channel had no room for."""
        return self.ledger.dropped.total()

    def layout_counts(self) -> Counts:
        """Return the number of layouts so far: a new one for each change of the host's devices."""
        return {"layouts": self.layouts}

    def _handle_collector(self, collector: Worker, kind: Kind, fields: list[Any]) -> None:
        if kind == Kind.INTERVALS:
            self._change_intervals(*fields)
        elif kind == Kind.LEDGER:
            self._send_figures(collector)
        else:
            collector.made_progress = True
            self._take_from_collector(kind, fields)

    def _send_poll(
        self, link: Link, sequence: int, poll: Poll, layouts: Mapping[str, bytes]
    ) -> None:
        if not poll.group:
            self._send_layout(link, poll.layout_id, layouts)
            link.send(Kind.POLL, sequence, poll.layout_id, poll.timestamp_ms, poll.packed)
            return
        if self._given.get(poll.group) != poll.layout_id and poll.layout_id in layouts:
            self._given[poll.group] = poll.layout_id
            link.send(Kind.LAYOUT, poll.layout_id, layouts[poll.layout_id])
        link.send(Kind.POLL, sequence, poll.layout_id, poll.timestamp_ms, poll.packed, poll.group)

    def _send_layout(self, link: Link, identifier: str, layouts: Mapping[str, bytes]) -> None:
        """Send the layout of a poll, with its parts, as far as the uploader may not have them.

        The uploader and the spool remember only the layout of the previous poll, and the last
        divided one with its parts.
        """
        if identifier == self._last_layout_id:
            return
        self._last_layout_id, known = identifier, self._last_parts
        if identifier not in layouts:
            return
        packed = layouts[identifier]
        if is_divided(identifier):
            self._last_parts = frozenset(part_identifiers(packed))
            for part in self._last_parts - known:
                if part in layouts:
                    link.send(Kind.PART, part, layouts[part])
        link.send(Kind.LAYOUT, identifier, packed)

    def _take_from_collector(self, kind: Kind, fields: list[Any]) -> None:
        if kind == Kind.PART:
            self.channel.add_part(*fields)
            return
        if kind == Kind.LAYOUT:
            self.channel.add_layout(*fields)
            self.layouts += 1
            return
        *poll, reason, interval_ms = fields
        gap = self.ledger.poll(poll[1], reason, interval_ms)
        if gap is not None:
            self._note_tick(self.ledger.newest_tick_ms)
            _log_gap(gap)
            self.channel.note_missed(gap.ticks, gap.reason)
        self._put(Poll(*poll))

    def _handle_spokes(self, worker: Worker, kind: Kind, fields: list[Any]) -> None:
        """Handle what only a hub has."""
        if self.spokes is None:
            return
        if kind == Kind.GROUPS:
            self.spokes.take_over(fields[0])
            return
        worker.made_progress = True
        if kind == Kind.SPOKES:
            self.spokes.report(*fields)
        elif kind == Kind.FORGET:
            self.spokes.forget(*fields)
            for group in fields[1]:
                self.channel.forget(group)
                self._given.pop(group, None)
        else:
            layout_id, timestamp_ms, packed, group, missed, reason = fields
            self.ledger.spoke_poll(timestamp_ms, now_ms(), missed, reason)
            self.spokes.note_poll(group, timestamp_ms)
            self._put(Poll(layout_id, timestamp_ms, packed, group))

    def _put(self, poll: Poll) -> None:
        dropped = self.channel.dropped
        self.channel.put(poll)
        if self.channel.dropped > dropped:
            self.ledger.dropped[CHANNEL_FULL] += self.channel.dropped - dropped
            self._drops.note(self.ledger.total_dropped(), several=len(self.outputs) > 1)

    def _change_intervals(self, intervals_ms: Collection[int], after_ms: int) -> None:
        self.ledger.change_intervals(intervals_ms, after_ms)
        if self.spokes is None:
            self.channel.keep_groups(intervals_ms)

    def _send_figures(self, collector: Worker) -> None:
        """Send the ledger's figures, but not before the spool's account is known."""
        if collector.link is None or self.ledger.account is None:
            return
        try:
            collector.link.send(Kind.LEDGER, self.ledger.figures(len(self.channel)))
        except LinkClosedError:
            _LOG.debug("The collector has exited; the next one will ask again.")

    def _handle_uploader(self, uploader: Worker, kind: Kind, fields: list[Any]) -> None:
        if kind == Kind.LEAVING:
            self.leaving = True
        elif kind == Kind.UPLOAD:
            name, state, account = fields
            if name in account["outputs"]:
                watch = self.outputs.setdefault(name, OutputWatch())
                watch.update_upload(UploadState(*state))
            self._update_account(SpoolState.of(account))
            self._acknowledge(uploader, account["sequence"])
        else:
            self._acknowledge(uploader, fields[0])

    def _update_account(self, account: SpoolState) -> None:
        before, dropped = self.ledger.account, self.ledger.total_dropped()
        for gap in self.ledger.update_account(account):
            _log_gap(gap)
        if before is None:
            self._drops.skip(Counter(self.ledger.total_dropped()) - Counter(dropped))
        self._drops.note(self.ledger.total_dropped(), several=len(account.outputs) > 1)
        self.outputs = {name: self.outputs.get(name) or OutputWatch() for name in account.outputs}
        for name, output in account.outputs.items():
            self.outputs[name].update_account(output, is_first=before is None)

    def _acknowledge(self, uploader: Worker, sequence: int) -> None:
        if sequence:
            uploader.made_progress = self.any_kept = True
            self.channel.acknowledge(sequence)
            if self.spokes is not None:
                self.spokes.stored(sequence)

    def _send_ledger_snapshot(
        self, link: Link, later: Counter[str], later_gaps: int, *, is_last: bool = False
    ) -> None:
        """Send the ledger as of the next poll, if it changed. The spool stores it with that poll.

        Without `later`, the ticks missed after that poll: if the polls after them are lost with this
        process, the next one finds a gap that includes these ticks. The last one, after which no poll
        follows, says up to when ticks are counted.
        """
        # Every gap has missed ticks or is the last one, so these show whether anything changed.
        gaps = self.ledger.gaps
        last_ms = gaps[-1 - later_gaps].before_ms if len(gaps) > later_gaps else 0
        missed = self.ledger.missed.total() - later.total()
        totals = (missed, self.ledger.dropped.total(), last_ms)
        if totals != self._snapshot_totals:
            book = self.ledger.snapshot(later, later_gaps, is_last=is_last)
            link.send(Kind.LEDGER_SNAPSHOT, book)
            self._snapshot_totals = totals


def _log_gap(gap: Gap) -> None:
    ticks = counted(gap.ticks, "tick")
    if not gap.ticks:
        leap = duration(gap.length_ms / 1000)
        ticks = f"The clock went ahead by {leap}, which counts as 0 ticks"
    _LOG.warning(
        "%s missed after %d ms, before %d ms (%s to %s): %s.",
        ticks,
        gap.after_ms,
        gap.before_ms,
        log.local_time(gap.after_ms / 1000),
        log.local_time(gap.before_ms / 1000),
        gap.reason,
        # A host that is too slow misses ticks all the time; the ledger has the total.
        extra=log.grouped_as(f"missed: {gap.reason}"),
    )
