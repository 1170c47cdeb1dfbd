"""The proof: what the server took, tick by tick, compared with the agent's account."""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.torture.world import ROLES

if TYPE_CHECKING:
    from tests.torture.server import Taken
    from tests.torture.world import Process, SpoolContent, World

#: The reasons for dropped polls that may have been in a post as well.
LOST = ("the spool was damaged", "the spool was removed")
_GAP = re.compile(r"ticks? missed after (\d+) ms, before (\d+) ms")
#: Polls with times that an earlier agent's polls had: the clock was set back, and where the spool could
#: not be opened, the new agent did not know of them. They are in addition to the ticks.
OLDER = "older than a poll before it"
#: An agent's cookie is up to 4 kB, with its name.
COOKIE_BYTES = 4200
#: The limit of each process's resident memory.
RSS_KB = 60_000
#: Descriptors that are open only at times, besides a connection to each output.
_FDS = 1
#: Samples (four a second) of a process before its descriptors count.
_LOOKS = 8


@dataclass
class Verdict:
    """The results of a run as a table, and the failures."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def row(self, what: str, figure: object) -> None:
        """Add a line to the table."""
        self.rows.append((what, str(figure)))

    def must(self, holds: bool, otherwise: str) -> None:
        """Add a failure unless the condition holds."""
        if not holds:
            self.failures.append(otherwise)

    @property
    def table(self) -> str:
        """The table as text."""
        width = max(len(what) for what, _ in self.rows)
        return "\n".join(f"  {what:<{width}}  {figure}" for what, figure in self.rows)


@dataclass(frozen=True)
class Evidence:
    """Everything that was observed: the status at rest, the spool after the stop, the posts taken."""

    interval_ms: int
    status: dict[str, Any]
    kept: SpoolContent
    taken: list[Taken]
    #: The timestamps of the polls that the server really has.
    stored: set[int]
    unanswered: int
    times_account_lost: int
    processes: dict[tuple[int, str], Process]
    left: list[int]
    log: str
    ended: dict[str, int]
    repaired: int
    failures: list[str]
    unaccounted: dict[int, int]
    cookie_bytes: int


def gather(world: World, status: dict[str, Any], left: list[int], repaired: int) -> Evidence:
    """What there is to judge by, once everything has ended."""
    snapshot = world.server.received
    return Evidence(
        world.interval_ms, status, world.kept(), snapshot.taken, world.server.stored(), snapshot.unanswered,
        world.times_account_lost,
        world.processes, left, world.log(), dict(world.ended), repaired, world.failures,
        dict(world.unaccounted), snapshot.cookie_bytes,
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


@dataclass(frozen=True)
class Ticks:
    """The outcome of each tick from the first to the last that was received or is in the spool."""

    step: int
    all: set[int]
    received: set[int]
    waiting: set[int]
    quarantined: set[int]
    #: Ticks of polls in quarantine that were received all the same.
    in_both: set[int]
    #: So many polls in quarantine have no time of a tick: the damage has changed it.
    without_time: int
    #: Ticks in a gap that the log reports.
    reported: set[int]

    @classmethod
    def of(cls, evidence: Evidence) -> Ticks:
        """Sort the ticks."""
        step, kept = evidence.interval_ms, evidence.kept
        received = evidence.stored
        ticks = set(range(min(received), max(received.union(kept.waiting)) + 1, step))
        gaps = [(int(after), int(before)) for after, before in _GAP.findall(evidence.log)]
        reported = {tick for after, before in gaps for tick in _between(after, before, step)}
        quarantined = {timestamp for timestamp, _ in kept.quarantined}
        without_time = sum(timestamp not in ticks for timestamp, _ in kept.quarantined)
        return cls(
            step, ticks, received, set(kept.waiting), quarantined - received, quarantined & received,
            without_time, reported & ticks,
        )  # fmt: skip

    @property
    def missing(self) -> set[int]:
        """The ticks that neither arrived nor are in the spool."""
        return self.all - self.received - self.waiting - self.quarantined


def _ticks(evidence: Evidence, verdict: Verdict) -> None:
    """Check that every tick is accounted for: individually where possible, and all of them by number."""
    ticks, facts = Ticks.of(evidence), evidence.kept.facts
    snapshot = json.loads(facts.get("book") or "{}")
    account = evidence.kept.account
    spool_dropped = account["dropped"]
    missed, dropped = (
        Counter(snapshot.get("missed")),
        Counter(snapshot.get("dropped")) + Counter(spool_dropped),
    )
    unanswered_polls = {t for post in evidence.taken if not post.answered for t in post.polls}
    verdict.row("ticks from the first received to the last kept", len(ticks.all))
    verdict.row("polls received", f"{len(ticks.received)} in {len(evidence.taken)} posts")
    taken = {timestamp for post in evidence.taken for timestamp in post.polls}
    verdict.must(
        taken == ticks.received,
        f"taken, and not there: {_runs(taken - ticks.received, ticks.step)}; "
        f"there, and not taken: {_runs(ticks.received - taken, ticks.step)}",
    )
    verdict.row("ticks missed, as reported", _words(missed))
    verdict.row("polls dropped, as reported", _words(dropped))
    verdict.row("polls in quarantine", len(evidence.kept.quarantined))
    verdict.row("polls left in the spool at the end", len(ticks.waiting))
    verdict.row("delivered, as reported", account["delivered"])
    verdict.row("unaccounted, as reported", evidence.status["polls"]["unaccounted"])
    wrong = {polls: times for polls, times in evidence.unaccounted.items() if polls}
    looks = sum(evidence.unaccounted.values())
    verdict.row("looks at the status; unaccounted in it", f"{looks}; {wrong or 'none'}")
    verdict.must(not wrong, f"the status had unaccounted polls for a moment: {wrong}")
    verdict.row("longest cookies in a post", f"{evidence.cookie_bytes} bytes")
    verdict.must(evidence.cookie_bytes <= COOKIE_BYTES, "more cookies than one small one")
    verdict.row("times that the account was lost", evidence.times_account_lost)
    verdict.must(
        not evidence.times_account_lost, f"the account was lost {evidence.times_account_lost} times"
    )
    off = sorted(t for t in ticks.received | ticks.waiting if t % ticks.step)
    verdict.must(not off, f"not at a multiple of {ticks.step} ms: {off[:5]}")
    contradictory = ticks.reported & (ticks.received | ticks.waiting)
    verdict.must(
        not contradictory, f"reported as missed, but received: {_runs(contradictory, ticks.step)}"
    )
    unexplained = ticks.missing - ticks.reported
    # Polls lost by damage may have been in a post whose answer did not arrive; this cannot be known.
    dropped.pop(OLDER, 0)
    arrived = dropped.total() + ticks.without_time - len(unexplained)
    words = f"in no gap of the log: {_runs(unexplained, ticks.step)}; dropped: {_words(dropped)}"
    verdict.must(
        0
        <= arrived
        <= min(len(unanswered_polls), sum(dropped[reason] for reason in LOST)) + ticks.without_time,
        f"{len(unexplained)} ticks are {words}",
    )
    explained = missed.total() + dropped.total() + ticks.without_time - arrived
    verdict.must(
        len(ticks.missing) == explained,
        f"{len(ticks.missing)} ticks did not arrive, {explained} are explained",
    )
    # Damage may have struck polls of a post whose answer did not arrive.
    verdict.must(
        ticks.in_both <= unanswered_polls,
        f"answered, and in quarantine: {_runs(ticks.in_both - unanswered_polls, ticks.step)}",
    )
    delivered = len(ticks.received - ticks.waiting - ticks.in_both) - arrived
    verdict.must(
        account["delivered"] == delivered,
        f"{account['delivered']} polls are reported as delivered, {delivered} were received",
    )
    verdict.must(evidence.status["polls"]["unaccounted"] == 0, "the status has unaccounted polls")
    rows = len(evidence.kept.waiting) + len(evidence.kept.quarantined)
    explained = account["delivered"] + rows + sum(spool_dropped.values())
    verdict.must(account["kept"] == explained, f"{account['kept']} kept, {explained} explained")


def _duplicates(evidence: Evidence, verdict: Verdict) -> None:
    """Check that polls came twice only because an uploader ended or an answer was lost."""
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
    """Check that first arrivals are in order, and that envelope timestamps increase by connection."""
    newest = 0
    late: list[int] = []
    seen: set[int] = set()
    by_connection = sorted(evidence.taken, key=lambda post: post.number)
    for post in evidence.taken:
        for timestamp in post.polls:
            if timestamp not in seen and timestamp < newest:
                late.append(timestamp)
            seen.add(timestamp)
            newest = max(newest, timestamp)
    verdict.row("first arrivals after a newer poll", len(late))
    verdict.must(not late, f"came after a newer poll: {late[:5]}")
    envelopes = [post.envelope_ms for post in by_connection if post.envelope_ms is not None]
    back = [pair for pair in pairwise(envelopes) if pair[1] <= pair[0]]
    verdict.row("envelope timestamps that do not increase", len(back))
    verdict.must(not back, f"envelope timestamps do not increase: {back[:5]}")


def _processes(evidence: Evidence, verdict: Verdict) -> None:
    """Check each role's processes: memory, and whether descriptors grew."""
    at_times = _FDS + len(evidence.status["outputs"])
    for role in ROLES:
        seen = [p for p in evidence.processes.values() if p.role == role]
        rss = max((p.rss_kb for p in seen), default=0)
        # A process that is new, or was stopped early, has not opened all of them.
        usual = round(statistics.median([fds for p in seen for fds in p.fds] or [0]))
        last = [round(statistics.median(p.fds[-_LOOKS:])) for p in seen if len(p.fds) >= _LOOKS]
        most = max(last, default=0)
        verdict.row(
            f"{role}: processes, memory, descriptors",
            f"{len(seen)} seen, {rss / 1000:.1f} MB at most, {usual} usual, {most} at most",
        )
        verdict.must(rss <= RSS_KB, f"{role}: {rss} kB resident")
        largest = max(seen, key=lambda p: len(p.open), default=None)
        names = largest.open if largest else []
        verdict.must(
            most <= usual + at_times, f"{role}: {most} descriptors, {usual} are usual: {names}"
        )


def _words(counts: Counter[str]) -> str:
    words = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()))
    return f"{counts.total()}" + (f" ({words})" if words else "")


def _between(after_ms: int, before_ms: int, step: int) -> range:
    """Return the ticks strictly between two times."""
    return range((after_ms // step + 1) * step, before_ms, step)


def _runs(ticks: set[int], step: int) -> str:
    """Return ticks as ranges, to be looked up in the log."""
    runs: list[list[int]] = []
    for tick in sorted(ticks):
        if runs and tick == runs[-1][1] + step:
            runs[-1][1] = tick
        else:
            runs.append([tick, tick])
    return ", ".join(f"{a}..{b}" for a, b in runs[:6]) or "none"


def _first_traceback(log: str) -> str:
    return log[log.find("Traceback") - 200 :][:3000] if "Traceback" in log else ""
