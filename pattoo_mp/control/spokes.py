"""What control knows of a hub's spokes: their states, for the status, and the newest poll of each.

The newest polls come from the spool when the agent starts, and then from the polls that pass. A collector that
starts is told, so a poll that a spoke sends again, because an acknowledgement was lost, is passed over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.ipc.messages import Kind, SpokeReport, SpokeState
from pattoo_mp.model import agent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pattoo_mp.ipc.link import Link

#: How many groups a message has: so control does not wait for one.
_GROUPS: Final = 1000
#: How many of the worst the status names.
WORST: Final = 20
#: The states in which a spoke needs a look, the worst first.
BAD_SPOKES: Final = (SpokeState.REFUSING, SpokeState.AWAY, SpokeState.SLOW)
_ACCOUNT: Final = ("polled", "delivered", "waiting", "quarantined", "dropped", "missed")


class Spokes:
    """The spokes of a hub, by the names of their targets. `are_asked`: a collector has reported."""

    def __init__(self) -> None:
        self._reports: dict[str, SpokeReport] = {}
        #: The time of the newest poll (ms) and the number of polls of each group, ever.
        self._groups: dict[str, tuple[int, int]] = {}
        self._groups_of: dict[str, list[str]] = {}
        self._stored = 0
        self._base = 0
        self._told: int | None = None
        self.are_asked = False
        self._figures: dict[str, float] = {}

    def collector_started(self, last_sequence: int) -> None:
        """Prepare for a new collector; `last_sequence` is the number of the last poll of the one before."""
        self._base, self._told = last_sequence, None

    def take_over(self, groups: Mapping[str, tuple[int, int]]) -> None:
        """Note what the spool knows of groups. What is known here is newer, since it was not stored yet."""
        for group, (newest_ms, polls) in groups.items():
            if group not in self._groups:
                self._set_group(group, newest_ms, polls)

    def note_poll(self, group: str, timestamp_ms: int) -> None:
        """Note a poll of a group."""
        newest_ms, polls = self._groups.get(group, (0, 0))
        self._set_group(group, max(newest_ms, timestamp_ms), polls + 1)

    def stored(self, sequence: int) -> None:
        """Note that the spool has all polls up to this sequence number of the channel."""
        self._stored = max(self._stored, sequence)

    def confirm(self, link: Link) -> None:
        """Tell the collector what is stored, if that has changed; a new one first, what came before it."""
        stored = self._stored - self._base
        if self._told == stored:
            return
        if self._told is None:
            names = list(self._groups)
            for first in range(0, len(names), _GROUPS):
                some = names[first : first + _GROUPS]
                link.send(Kind.GROUPS, {name: self._groups[name][0] for name in some})
        self._told = stored
        link.send(Kind.STORED, stored)

    def report(self, rows: Mapping[str, list[Any]], figures: Mapping[str, float]) -> None:
        """Note the reports of targets, and the collector's own figures."""
        self.are_asked = True
        self._figures = dict(figures)
        for name, fields in rows.items():
            self._reports[name] = _after(self._reports.get(name), SpokeReport(*fields))

    def forget(self, targets: Iterable[str], groups: Iterable[str]) -> None:
        """Forget targets and groups that are gone from the settings. Their polls stay."""
        for name in targets:
            self._reports.pop(name, None)
        # What is known of the groups stays, for the ledger, and if they come again.
        del groups

    def summary(self, lasting_since_ms: int) -> dict[str, Any]:
        """Return how many there are in each state, and the worst, as a part of the status.

        `lasting` counts those that have not been well since that time.
        """
        counts = {state.value: 0 for state in SpokeState}
        for report in self._reports.values():
            counts[report.state] = counts.get(report.state, 0) + 1
        bad = [
            (name, report) for name, report in self._reports.items() if report.state in BAD_SPOKES
        ]
        order = {state.value: number for number, state in enumerate(BAD_SPOKES)}
        bad.sort(key=lambda one: (order[one[1].state], one[1].since_ms, one[0]))
        return {
            "count": len(self._reports),
            **counts,
            "lasting": sum(report.since_ms < lasting_since_ms for _, report in bad),
            "late_p99_ms": self._figures.get("late_p99_ms", 0.0),
            "worst": [self._row(name, report) for name, report in bad[:WORST]],
        }

    def every(self) -> list[dict[str, Any]]:
        """Return a row for each spoke, by name."""
        return [self._row(name, report) for name, report in sorted(self._reports.items())]

    def _set_group(self, group: str, newest_ms: int, polls: int) -> None:
        if group not in self._groups:
            self._groups_of.setdefault(agent_of(group), []).append(group)
        self._groups[group] = newest_ms, polls

    def _row(self, name: str, report: SpokeReport) -> dict[str, Any]:
        groups = [self._groups[group] for group in self._groups_of.get(report.agent_id, ())]
        return {
            "name": name,
            "state": report.state,
            "since_ms": report.since_ms,
            "why": report.why,
            "kind": report.kind,
            "agent_id": report.agent_id,
            "hostname": report.hostname,
            "polls": sum(polls for _, polls in groups),
            "newest_ms": max((newest_ms for newest_ms, _ in groups), default=0),
            "asked": report.asked,
            "failed": report.failed,
            "taken": report.taken,
            "repeated": report.repeated,
            "missed": report.missed,
            "left_out": report.left_out,
            "left_out_why": report.left_out_why,
            "account": dict(zip(_ACCOUNT, report.account, strict=False)),
        }


def _after(before: SpokeReport | None, report: SpokeReport) -> SpokeReport:
    """Return a report with what happened before it."""
    if before is None:
        return report
    is_same = before.state == report.state and before.since_ms < report.since_ms
    return replace(
        report,
        # A new collector does not know since when.
        since_ms=before.since_ms if is_same else report.since_ms,
        kind=report.kind or before.kind,
        agent_id=report.agent_id or before.agent_id,
        hostname=report.hostname or before.hostname,
        asked=before.asked + report.asked,
        failed=before.failed + report.failed,
        taken=before.taken + report.taken,
        left_out=before.left_out + report.left_out,
        repeated=before.repeated + report.repeated,
        missed=before.missed + report.missed,
        left_out_why=report.left_out_why or before.left_out_why,
        account=report.account or before.account,
    )
