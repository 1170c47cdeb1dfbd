"""The proof: what the server took, tick by tick, against the account that the agent kept."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.torture.world import ROLES

if TYPE_CHECKING:
    from tests.torture.server import Taken
    from tests.torture.world import Kept, Process, World

#: More resident memory than this no process of the agent has.
RSS_KB = 60_000
#: A connection that is open at one moment and not at another.
_FDS = 2
#: Looks (four a second) to be had at a process before its descriptors say anything.
_LOOKS = 8


@dataclass
class Verdict:
    """A table of what was found, and what of it must not be."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def row(self, what: str, figure: object) -> None:
        """A line of the table."""
        self.rows.append((what, str(figure)))

    def must(self, holds: bool, otherwise: str) -> None:
        """A line of the failures, if it does not hold."""
        if not holds:
            self.failures.append(otherwise)

    @property
    def table(self) -> str:
        """The table as text."""
        width = max(len(what) for what, _ in self.rows)
        return "\n".join(f"  {what:<{width}}  {figure}" for what, figure in self.rows)


@dataclass(frozen=True)
class Evidence:
    """All that was seen: the status at rest, the spool after the stop, what the server took."""

    interval_ms: int
    status: dict[str, Any]
    kept: Kept
    taken: list[Taken]
    unanswered: int
    gaps: set[tuple[int, int]]
    processes: dict[int, Process]
    left: list[int]
    log: str
    ended: dict[str, int]
    repaired: int
    failures: list[str]


def gather(world: World, status: dict[str, Any], left: list[int], repaired: int) -> Evidence:
    """What there is to judge by, once everything has ended."""
    book = world.server.book
    return Evidence(
        world.interval_ms, status, world.kept(), book.taken, book.unanswered, world.gaps,
        world.processes, left, world.log(), dict(world.ended), repaired, world.failures,
    )  # fmt: skip


def judge(evidence: Evidence) -> Verdict:
    """Everything that is to be proved."""
    verdict = Verdict(failures=list(evidence.failures))
    _ticks(evidence, verdict)
    _duplicates(evidence, verdict)
    _order(evidence, verdict)
    _processes(evidence, verdict)
    verdict.must(not evidence.left, f"processes are left: {evidence.left}")
    verdict.row("processes left", len(evidence.left))
    tracebacks = evidence.log.count("Traceback")
    verdict.row("tracebacks in the log", tracebacks)
    verdict.must(not tracebacks, f"tracebacks in the log:\n{_first_traceback(evidence.log)}")
    return verdict


def _ticks(evidence: Evidence, verdict: Verdict) -> None:
    """Every tick is accounted for, each by itself where it can be, and all of them by number."""
    step, kept = evidence.interval_ms, evidence.kept
    received = {timestamp for post in evidence.taken for timestamp in post.polls}
    waiting = set(kept.waiting)
    aside = {timestamp for timestamp, _ in kept.quarantined} - received
    book = json.loads(kept.facts.get("book") or "{}")
    missed, dropped = _both(book.get("missed")), _both(json.loads(kept.facts["dropped"]))
    dropped = _both(book.get("dropped"), dropped)
    gaps = evidence.gaps | {(gap["after_ms"], gap["before_ms"]) for gap in book.get("gaps", [])}
    first, last = min(received), max(received)
    ticks = set(range(first, last + 1, step))
    told = {t for after, before in gaps for t in _between(after, before, step)} & ticks
    nowhere = ticks - received - aside - waiting
    off = sorted(t for t in received | waiting if t % step)

    verdict.row("ticks from the first to the last received", len(ticks))
    verdict.row("polls received", f"{len(received)} in {len(evidence.taken)} posts")
    verdict.row("ticks missed, as told", _words(missed))
    verdict.row("polls dropped, as told", _words(dropped))
    verdict.row("polls in quarantine", len(aside))
    verdict.row("polls left in the spool at the end", len(waiting))
    verdict.row("delivered, as told", kept.facts["delivered"])
    verdict.row("unaccounted, as told", evidence.status["polls"]["unaccounted"])
    verdict.must(not off, f"not at a multiple of {step} ms: {off[:5]}")
    explained = sum(missed.values()) + sum(dropped.values())
    verdict.must(
        len(nowhere) == explained,
        f"{len(nowhere)} ticks did not arrive, {explained} are explained "
        f"({len(nowhere - told)} in no gap that was told: {_runs(nowhere - told, step)})",
    )
    verdict.must(
        len(nowhere - told) == sum(dropped.values()),
        f"{len(nowhere - told)} ticks are in no gap ({_runs(nowhere - told, step)}), "
        f"{sum(dropped.values())} polls are told as dropped",
    )
    verdict.must(
        not told & (received | waiting),
        f"told as missed, and received: {_runs(told & received, step)}",
    )
    delivered = len(received - waiting)
    verdict.must(
        kept.facts["delivered"] == delivered,
        f"{kept.facts['delivered']} polls are told as delivered, {delivered} were received",
    )
    verdict.must(evidence.status["polls"]["unaccounted"] == 0, "the status has unaccounted polls")
    account = kept.facts["delivered"] + len(waiting) + len(kept.quarantined)
    account += sum(_both(json.loads(kept.facts["dropped"])).values())
    verdict.must(kept.facts["kept"] == account, f"{kept.facts['kept']} kept, {account} explained")


def _duplicates(evidence: Evidence, verdict: Verdict) -> None:
    """What came twice came so because an uploader ended, or an answer was lost, before its note."""
    seen: dict[int, str] = {}
    again: set[int] = set()
    posts = differing = 0
    for post in evidence.taken:
        twice = post.polls.keys() & seen.keys()
        posts += bool(twice)
        again |= twice
        differing += sum(seen[t] != post.polls[t] for t in twice)
        seen.update(post.polls)
    ends = evidence.ended.get("uploader", 0)
    bound = ends + evidence.unanswered + evidence.repaired
    verdict.row(
        "posts with polls that were received before",
        f"{posts} ({len(again)} polls); at most {bound}: {ends} ends of an uploader, "
        f"{evidence.unanswered} lost answers, {evidence.repaired} spools damaged",
    )
    verdict.must(posts <= bound, f"{posts} posts repeat polls; at most {bound} may")
    verdict.must(not differing, f"{differing} polls came again with other values")


def _order(evidence: Evidence, verdict: Verdict) -> None:
    """First arrivals are in order, and the envelopes grow as the connections came."""
    newest = 0
    late: list[int] = []
    seen: set[int] = set()
    for post in evidence.taken:
        for timestamp in post.polls:
            if timestamp not in seen and timestamp < newest:
                late.append(timestamp)
            seen.add(timestamp)
            newest = max(newest, timestamp)
    verdict.row("first arrivals after a newer poll", len(late))
    verdict.must(not late, f"came after a newer poll: {late[:5]}")
    envelopes = [p.envelope_ms for p in sorted(evidence.taken, key=lambda post: post.number)]
    back = [pair for pair in pairwise(envelopes) if pair[1] <= pair[0]]
    verdict.row("envelope times that do not grow", len(back))
    verdict.must(not back, f"envelope times do not grow: {back[:5]}")


def _processes(evidence: Evidence, verdict: Verdict) -> None:
    """Each role's processes: how many, their memory, and whether their descriptors grew."""
    for role in ROLES:
        seen = [p for p in evidence.processes.values() if p.role == role]
        grown = [_growth(p.fds) for p in seen if len(p.fds) >= 2 * _LOOKS]
        first, last = (seen[i].fds for i in (0, -1)) if seen else ([0], [0])
        rss = max((p.rss_kb for p in seen), default=0)
        verdict.row(
            f"{role}: processes, memory, descriptors",
            f"{len(seen)} seen, {rss / 1000:.1f} MB at most, "
            f"{round(statistics.median(first))} in the first, {round(statistics.median(last))} in "
            f"the last, {max(grown, default=0)} more within one",
        )
        verdict.must(rss <= RSS_KB, f"{role}: {rss} kB resident")
        verdict.must(
            max(grown, default=0) <= _FDS, f"{role}: descriptors grow by {max(grown, default=0)}"
        )
        growth = statistics.median(last) - statistics.median(first)
        verdict.must(
            growth <= _FDS, f"{role}: {growth} more descriptors in the last than in the first"
        )


def _growth(fds: list[int]) -> int:
    return round(statistics.median(fds[-_LOOKS:]) - statistics.median(fds[:_LOOKS]))


def _both(*counts: dict[str, int] | None) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for reason, number in (one or {}).items():
            total[reason] = total.get(reason, 0) + number
    return total


def _words(counts: dict[str, int]) -> str:
    words = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()))
    return f"{sum(counts.values())}" + (f" ({words})" if words else "")


def _between(after_ms: int, before_ms: int, step: int) -> range:
    """The ticks strictly between two times."""
    return range((after_ms // step + 1) * step, before_ms, step)


def _runs(ticks: set[int], step: int) -> str:
    """Ticks as runs, so that a failure can be looked up in the log."""
    runs: list[list[int]] = []
    for tick in sorted(ticks):
        if runs and tick == runs[-1][1] + step:
            runs[-1][1] = tick
        else:
            runs.append([tick, tick])
    return ", ".join(f"{a}..{b}" for a, b in runs[:6]) or "none"


def _first_traceback(log: str) -> str:
    return log[log.find("Traceback") - 200 :][:3000] if "Traceback" in log else ""
