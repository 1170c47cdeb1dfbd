"""Polls from the collector through control to the uploader."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.control.broker import Broker
from pattoo_mp.control.ledger import Ledger
from pattoo_mp.control.worker import Role, Worker
from pattoo_mp.ipc.channel import Channel
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind, UploadState
from pattoo_mp.model import CLOCK_LEAPED, INTEGER, Layout, Origin, Series
from pattoo_mp.spool.limits import QUARANTINE_FULL
from pattoo_mp.spool.pauses import Pause, Pauses
from tests.support.spools import OUTPUT, account_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.ipc.link import Message


class Rig:
    """A broker between two workers that have links but no processes."""

    def __init__(self) -> None:
        self.broker = Broker(Channel(), Ledger(1000))
        self.collector, self.uploader = (
            Worker(Role(name, lambda _: None, signal.SIGKILL)) for name in ("one", "other")
        )
        self.uploader.link, self.far = Link.pair()

    def layout(self, identifier: str, interval_ms: int = 1000) -> None:
        """Handle a layout from the collector."""
        message = [Kind.LAYOUT, identifier, identifier.encode(), interval_ms]
        self.broker.handle(self.collector, message)

    def poll(
        self, second: int, layout: str = "a", reason: str = "", interval_ms: int = 1000
    ) -> None:
        """Handle a poll from the collector, and pass it on."""
        message = [Kind.POLL, layout, second * 1000, b"", reason, interval_ms]
        self.broker.handle(self.collector, message)
        self.broker.lease_to(self.uploader)

    def kept(self, sequence: int) -> None:
        """Handle an acknowledgement from the uploader."""
        self.broker.handle(self.uploader, [Kind.KEPT, sequence])

    def account(self, posts: int = 0, failing: int = 0, **account: Any) -> None:  # noqa: ANN401 - as SpoolState has them
        """Handle the spool's account from the uploader."""
        state = UploadState(posts=posts, failing_since_ms=failing).fields()
        self.broker.handle(
            self.uploader, [Kind.UPLOAD, OUTPUT, state, account_of(**account).fields()]
        )

    def recent(self) -> dict[str, int]:
        """What was counted recently, in all and for the output."""
        output = self.broker.outputs[OUTPUT]
        _, counts = self.broker.recent.since(300, self.broker.counts())
        _, own = output.recent.since(300, output.counts(self.broker.dropped_in_channel))
        return counts | own

    def unaccounted(self) -> int:
        """The polls that the ledger cannot explain."""
        return self.broker.ledger.unaccounted(len(self.broker.channel))

    def received(self) -> list[Message]:
        """The messages to the uploader since the last call: layouts by name, polls by number."""
        return [message[:2] for message in self.far.receive()]

    def new_uploader(self) -> None:
        """Replace the uploader by a new one."""
        self.uploader.close_link()
        self.far.close()
        self.broker.uploader_gone()
        self.uploader.link, self.far = Link.pair()
        self.broker.lease_to(self.uploader)


@pytest.fixture
def new_rig() -> Iterator[Rig]:
    """A rig that has handled nothing yet."""
    made = Rig()
    yield made
    made.uploader.close_link()
    made.far.close()


@pytest.fixture
def rig(new_rig: Rig) -> Rig:
    """A rig that has the account of an empty spool."""
    new_rig.account()
    return new_rig


def test_polls_go_to_the_uploader_with_their_layout_first(rig: Rig) -> None:
    """The layout is sent once; the polls are numbered."""
    rig.layout("a")
    for second in (1, 2, 3):
        rig.poll(second)
    assert rig.received() == [["layout", "a"], ["poll", 1], ["poll", 2], ["poll", 3]]


def test_a_layout_that_returns_is_sent_again(rig: Rig) -> None:
    """The uploader forgets a layout that its last polls did not use: a disk removed and added again."""
    for number, layout in enumerate(("a", "b", "a"), 1):
        rig.layout(layout)
        rig.poll(number, layout)
        rig.kept(number)
        assert rig.received() == [["layout", layout], ["poll", number]]


def test_alternating_layouts_in_one_lease_are_all_sent(rig: Rig) -> None:
    """Each poll's layout precedes it, wherever the uploader commits in between."""
    for number, layout in enumerate(("a", "b", "a"), 1):
        rig.layout(layout)
        rig.broker.handle(rig.collector, [Kind.POLL, layout, number * 1000, b"", "", 1000])
    rig.broker.lease_to(rig.uploader)
    assert rig.received() == [
        ["layout", "a"], ["poll", 1], ["layout", "b"], ["poll", 2], ["layout", "a"], ["poll", 3],
    ]  # fmt: skip


def test_a_new_uploader_gets_unacknowledged_polls(rig: Rig) -> None:
    """With the same numbers, and with the layout."""
    rig.layout("a")
    for second in (1, 2, 3):
        rig.poll(second)
    rig.kept(1)
    rig.new_uploader()
    assert rig.received() == [["layout", "a"], ["poll", 2], ["poll", 3]]


def test_no_poll_is_sent_before_the_account_is_known(new_rig: Rig) -> None:
    """The spool was slow to open, or its disk was full: all polls go as soon as it is open."""
    new_rig.layout("a")
    for second in (11, 12, 15):
        new_rig.poll(second, reason="late")
    assert new_rig.received() == []
    earlier = json.dumps({"missed": {"late": 40}, "dropped": {"the channel was full": 6}})
    new_rig.account(kept=4, delivered=3, waiting=1, newest_ms=8000, book=earlier)
    new_rig.broker.lease_to(new_rig.uploader)
    books = [json.loads(m[1]) for m in new_rig.far.receive() if m[0] == Kind.LEDGER_SNAPSHOT]
    assert [book["missed"] for book in books] == [
        {"late": 40, "the agent was down": 2},
        {"late": 42, "the agent was down": 2},
    ]
    assert books[-1]["dropped"] == {"the channel was full": 6}
    assert new_rig.broker.ledger.total_polled == 4 + 6 + 3
    assert new_rig.unaccounted() == 0


def test_a_snapshot_is_the_ledger_as_of_the_next_poll(rig: Rig) -> None:
    """Whatever polls the spool has when all processes are killed, their successors count each tick once."""
    rig.layout("a")
    rig.broker.closed = True  # the polls wait
    for second in (1, 3, 6, 10, 12):
        rig.poll(second, reason="late")
    rig.broker.closed = False
    for _ in range(2):  # the second uploader gets the same
        rig.new_uploader()
        book, newest_ms = "", 0
        for kind, *fields in rig.far.receive():
            if kind == Kind.LEDGER_SNAPSHOT:
                book = fields[0]
            elif kind == Kind.POLL:
                newest_ms = fields[2]
                later = Ledger(1000)
                later.update_account(account_of(kept=1, waiting=1, newest_ms=newest_ms, book=book))
                later.poll(20_000, "", 1000)
                kept = (1, 3, 6, 10, 12).index(newest_ms // 1000) + 1
                assert later.missed.total() == 20 - kept - 1
                assert [gap.before_ms for gap in later.gaps][-1] == 20_000
        assert newest_ms == 12_000


def test_the_last_snapshot_says_up_to_when_ticks_are_counted(rig: Rig) -> None:
    """But not to an uploader that does not get all polls: they may be lost, and their ticks with them."""
    rig.layout("a")
    rig.broker.closed = True  # the polls wait
    rig.poll(1)
    rig.poll(3, reason="late")
    rig.broker.closed = False
    rig.broker.close_to(rig.uploader)
    assert [message for message in rig.far.receive() if message[0] == Kind.LEDGER_SNAPSHOT] == []
    rig.new_uploader()
    rig.kept(2)
    rig.broker.count_missed(5500)
    rig.broker.close_to(rig.uploader)
    *_, book = (json.loads(m[1]) for m in rig.far.receive() if m[0] == Kind.LEDGER_SNAPSHOT)
    assert (book["missed"], book["counted_ms"]) == (
        {"late": 1, "the collector hung": 2},
        {"1000": 5499},
    )


def test_polls_that_a_killed_uploader_has_stored_are_counted_once(rig: Rig) -> None:
    """It was killed between the commit and the acknowledgement. The next one sends the account."""
    rig.broker.channel = Channel(max_polls=4)
    rig.layout("a")
    for number in range(1, 5):
        rig.poll(number)
    rig.broker.uploader_gone()
    rig.uploader.close_link()
    for number in range(5, 8):  # the channel is full meanwhile
        rig.poll(number)
        assert rig.unaccounted() == 0
    rig.account(kept=3, kept_of_channel=3, sequence=3, waiting=3, newest_ms=3000)
    assert rig.unaccounted() == 0
    assert rig.broker.ledger.total_dropped() == {("the channel was full", ""): 2}
    assert len(rig.broker.channel) == 2


def test_acknowledged_polls_leave_the_channel(rig: Rig) -> None:
    """The agent counts as ready from the first poll that is safe."""
    rig.layout("a")
    rig.poll(1)
    rig.kept(0)  # from an uploader whose disk accepts no writes
    assert (len(rig.broker.channel), rig.broker.any_kept) == (1, False)
    rig.kept(1)
    assert (len(rig.broker.channel), rig.broker.any_kept) == (0, True)


def test_a_closed_uploader_gets_no_polls(rig: Rig) -> None:
    """Later polls go to the next uploader."""
    rig.layout("a")
    rig.broker.close_to(rig.uploader)
    rig.broker.close_to(rig.uploader)
    rig.poll(1)
    assert rig.received() == [["close"]]
    rig.new_uploader()
    assert rig.received() == [["layout", "a"], ["poll", 1]]


def test_a_poll_for_an_uploader_that_has_exited_is_not_lost(rig: Rig) -> None:
    """Its link is closed, and it has not been reaped yet."""
    rig.layout("a")
    rig.far.close()
    rig.poll(1)
    rig.new_uploader()
    assert rig.received() == [["layout", "a"], ["poll", 1]]


def test_ticks_missed_before_a_new_collector_have_its_reason(rig: Rig) -> None:
    """Whatever reason the new one gives, and for its first poll only."""
    rig.layout("a")
    rig.poll(1)
    rig.broker.collector_started({1000}, 0)
    rig.poll(4, reason="?")
    rig.poll(6, reason="late")
    assert rig.broker.ledger.missed == {"the collector was down": 2, "late": 1}


def test_a_changed_interval_counts_from_the_time_the_collector_reports(rig: Rig) -> None:
    """Ticks before that time are of the old interval (2 and 3 s), later ones of the new (4 and 4.5 s)."""
    rig.layout("a")
    rig.poll(1)
    rig.broker.handle(rig.collector, [Kind.INTERVALS, [500], 3700])
    rig.poll(5, reason="late", interval_ms=500)
    assert rig.broker.ledger.missed == {"late": 4}
    assert rig.broker.ledger.interval_ms == 500


def test_a_new_collector_may_have_another_interval(rig: Rig) -> None:
    """It counts from its start: 2 s by the old interval; 3, 3.5, 4 and 4.5 s by the new one."""
    rig.layout("a")
    rig.poll(1)
    rig.broker.collector_started({500}, 2600)
    rig.poll(5, interval_ms=500)
    assert rig.broker.ledger.missed == {"the collector was down": 5}


def test_after_a_clock_set_back_a_new_collector_counts_from_the_newest_poll(rig: Rig) -> None:
    """Ticks that were polled are not missed."""
    rig.layout("a")
    rig.poll(10)
    rig.broker.collector_started({500}, 2000)
    rig.poll(11, interval_ms=500)
    assert rig.broker.ledger.missed == {"the collector was down": 1}


def groups(rig: Rig, *intervals_ms: int) -> None:
    """Start groups with these intervals, each with a layout."""
    rig.broker.handle(rig.collector, [Kind.INTERVALS, list(intervals_ms), 0])
    for interval_ms in intervals_ms:
        rig.layout(f"every {interval_ms}", interval_ms)


def test_the_layout_of_each_group_is_kept_for_its_polls(rig: Rig) -> None:
    """A layout is kept though its poll comes long after it, and after other layouts."""
    groups(rig, 1000, 3000)
    for second in (1, 2, 3):
        rig.poll(second, "every 1000")
        rig.kept(second)
    rig.received()
    rig.poll(3, "every 3000", interval_ms=3000)
    rig.poll(4, "every 1000")
    assert rig.received() == [
        ["layout", "every 3000"], ["poll", 4], ["layout", "every 1000"], ["poll", 5],
    ]  # fmt: skip


def test_a_new_collector_excuses_the_first_poll_of_each_group(rig: Rig) -> None:
    """Also if the first poll of the slower group comes much later."""
    groups(rig, 1000, 3000)
    rig.poll(3, interval_ms=3000)
    rig.poll(3)
    rig.broker.collector_started({1000, 3000}, 0)
    rig.poll(5, reason="?")
    rig.poll(7, reason="late")
    rig.poll(9, reason="?", interval_ms=3000)
    assert rig.broker.ledger.missed == {"the collector was down": 2, "late": 1}


def test_a_worker_reports_the_settings_it_has_applied(rig: Rig) -> None:
    """It reports their number."""
    rig.broker.handle(rig.uploader, [Kind.APPLIED, 3])
    assert (rig.collector.settings_number, rig.uploader.settings_number) == (0, 3)


def test_posts_add_up_over_uploaders(rig: Rig) -> None:
    """Each uploader counts from zero; the status counts from the agent's start."""
    rig.account(posts=2)
    rig.new_uploader()
    assert rig.broker.outputs[OUTPUT].upload.posts == 2
    rig.account(posts=1)
    assert rig.broker.outputs[OUTPUT].upload.posts == 3


def test_the_drain_rate_is_measured_from_accounts(new_rig: Rig) -> None:
    """From the second account on: the first one covers the time before this process."""
    new_rig.account(kept=100, delivered=40, waiting=60)
    assert new_rig.broker.outputs[OUTPUT].drain_rate.polls_per_s() is None
    new_rig.account(kept=100, delivered=50, waiting=50)
    assert new_rig.broker.outputs[OUTPUT].drain_rate.polls_per_s() == 10


@pytest.mark.parametrize("end", [{"waiting": 0, "delivered": 100}, {"failing": 7, "waiting": 50}])
def test_the_drain_rate_is_reset_at_the_end_of_a_backlog_and_at_a_failure(
    new_rig: Rig, end: dict[str, int]
) -> None:
    """The next backlog may have another rate."""
    new_rig.account(kept=100, delivered=40, waiting=60)
    new_rig.account(kept=100, delivered=50, waiting=50)
    new_rig.account(**{"kept": 100, "delivered": 50, **end})
    assert new_rig.broker.outputs[OUTPUT].drain_rate.polls_per_s() is None


def test_a_new_uploader_resets_the_drain_rate(new_rig: Rig) -> None:
    """The time without an uploader does not make the server look slow."""
    new_rig.account(kept=100, delivered=40, waiting=60)
    new_rig.account(kept=100, delivered=50, waiting=50)
    new_rig.new_uploader()
    assert new_rig.broker.outputs[OUTPUT].drain_rate.polls_per_s() is None


def test_recent_counts_begin_with_the_first_account(new_rig: Rig) -> None:
    """Counts from before this control process are not recent."""
    new_rig.account(kept=100, delivered=40, waiting=57, dropped={"too old": 3})
    new_rig.layout("a")
    new_rig.poll(1)
    new_rig.account(posts=1, kept=101, kept_of_channel=1, sequence=1, delivered=90, waiting=6,
                dropped={"too old": 5})  # fmt: skip
    counts = new_rig.recent()
    assert counts == {
        "polled": 1, "missed": 0, "delivered": 50, "dropped": 2, "quarantined": 0, "posts": 1,
        "sent_bytes": 0,
    }  # fmt: skip


def test_a_full_quarantine_still_counts_new_polls(new_rig: Rig) -> None:
    """Each new poll replaces an older one. The number stays the same, but it is still a trouble."""
    new_rig.account(kept=100, delivered=40, waiting=50, quarantined=10)
    new_rig.account(kept=100, delivered=40, waiting=45, quarantined=9, dropped={QUARANTINE_FULL: 6})
    new_rig.layout("a")
    new_rig.poll(1)
    counts = new_rig.recent()
    assert (counts["quarantined"], counts["dropped"]) == (5, 6)
    assert new_rig.unaccounted() == 0


def test_the_ledger_adds_up_after_every_message(new_rig: Rig) -> None:
    """Each poll is either in the channel or in the spool, and counted once."""
    new_rig.account(kept=7, delivered=4, waiting=2, dropped={"too old": 1})
    new_rig.layout("a")
    for number in (1, 2, 3):
        new_rig.poll(number)
        assert new_rig.unaccounted() == 0
    new_rig.account(kept=9, kept_of_channel=2, sequence=2, delivered=4, waiting=4,
                dropped={"too old": 1})  # fmt: skip
    assert new_rig.unaccounted() == 0
    assert new_rig.broker.ledger.total_polled == 10
    assert len(new_rig.broker.channel) == 1


def test_polls_dropped_by_the_channel_are_counted_over_a_restart_of_control(new_rig: Rig) -> None:
    """A full channel, and a second control process that reads the snapshot of the first."""
    new_rig.broker.channel = Channel(max_polls=2)
    new_rig.account()
    new_rig.layout("a")
    new_rig.uploader.close_link()
    for number in (1, 2, 3, 4, 7):
        new_rig.poll(number, reason="late")
    assert new_rig.unaccounted() == 0
    snapshot = new_rig.broker.ledger.snapshot()
    later = Ledger(1000)
    later.update_account(account_of(kept=2, waiting=2, newest_ms=7000, book=snapshot))
    assert later.total_dropped() == {("the channel was full", ""): 3}
    assert later.missed == {"late": 2}
    assert later.total_polled == 5
    assert later.unaccounted(0) == 0
    later.poll(10_000, "late", 1000)
    assert later.missed == {"late": 2, "the agent was down": 2}
    assert [gap.reason for gap in later.gaps] == ["late", "the agent was down"]


def test_troubles_and_fatal_errors_are_stored_per_worker(rig: Rig) -> None:
    """A note replaces the previous one."""
    rig.broker.handle(rig.collector, [Kind.NOTE, {"a": "b"}])
    rig.broker.handle(rig.collector, [Kind.NOTE, {"c": "d"}])
    rig.broker.handle(rig.uploader, [Kind.FATAL, "no such spool"])
    assert rig.collector.troubles == {"c": "d"}
    assert rig.uploader.fatal == "no such spool"


def test_an_unknown_message_is_harmless(rig: Rig) -> None:
    """It is logged, and the next one is handled."""
    rig.broker.handle(rig.collector, ["nonsense", 1])
    rig.broker.handle(rig.collector, [])
    rig.layout("a")
    rig.poll(1)
    assert rig.received() == [["layout", "a"], ["poll", 1]]


def test_the_collector_gets_the_ledger_on_request(new_rig: Rig) -> None:
    """With totals that continue over restarts, but not before the spool's account is known."""
    new_rig.collector.link, far = Link.pair()
    new_rig.broker.handle(new_rig.collector, [Kind.LEDGER])
    new_rig.account(kept=10, delivered=6, waiting=1, quarantined=1, dropped={"age": 2},
                delivered_ms=1000)  # fmt: skip
    new_rig.poll(2)
    new_rig.poll(5, reason="late")
    new_rig.broker.handle(new_rig.collector, [Kind.LEDGER])
    assert far.receive() == [
        [
            Kind.LEDGER,
            {"": {"polled": 12, "delivered": 6, "waiting": 3, "quarantined": 1, "dropped": 2,
                  "missed": 2, "lag": 4000}},
        ]
    ]  # fmt: skip
    far.close()
    new_rig.broker.handle(new_rig.collector, [Kind.LEDGER])  # it has exited, which is harmless


# Waiting polls do not grow older in a leap of the clock, nor while no agent runs.


def pauses(rig: Rig) -> list[Pause]:
    """The pauses in the last snapshot of the ledger that went to the uploader."""
    messages = rig.far.receive()
    return Pauses.read([m[1] for m in messages if m[0] == Kind.LEDGER_SNAPSHOT][-1])


DAY = 86_400


def test_a_leap_goes_to_the_spool_before_the_poll_after_it(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Its ticks are not counted, but the ledger's snapshot has it."""
    rig.layout("a")
    rig.poll(1_795_000_000)
    rig.poll(1_795_000_000 + 40 * DAY, reason=CLOCK_LEAPED)
    leap = Pause(1_795_000_000_000, 1_795_000_000_000 + 40 * DAY * 1000, CLOCK_LEAPED)
    assert pauses(rig) == [leap]
    assert (
        "The clock went ahead by 40 days, which counts as 0 ticks missed after 1795000000000 ms"
        in caplog.text
    )


def test_a_leap_counts_once_for_several_intervals(rig: Rig) -> None:
    """Each interval has a gap, but time has leaped once."""
    rig.broker.handle(rig.collector, [Kind.INTERVALS, [1000, 5000], 0])
    rig.layout("a")
    rig.layout("b", 5000)
    rig.poll(1_795_000_000)
    rig.poll(1_795_000_000, "b", interval_ms=5000)
    rig.poll(1_795_000_003)
    rig.far.receive()
    for layout, interval_ms in (("a", 1000), ("b", 5000)):
        rig.poll(1_795_000_000 + DAY, layout, CLOCK_LEAPED, interval_ms)
    (pause,) = pauses(rig)
    assert pause.length_ms == (DAY - 3) * 1000


@pytest.mark.parametrize("account_first", [True, False])
def test_the_time_without_an_agent_is_a_pause(new_rig: Rig, *, account_first: bool) -> None:
    """Whether the first poll comes before the spool's account or after it."""
    new_rig.layout("a")
    if account_first:
        new_rig.account(kept=1, waiting=1, newest_ms=1_795_000_000_000)
    new_rig.poll(1_795_000_900)
    if not account_first:
        new_rig.account(kept=1, waiting=1, newest_ms=1_795_000_000_000)
        new_rig.poll(1_795_000_901)
    assert pauses(new_rig) == [Pause(1_795_000_000_000, 1_795_000_900_000, "the agent was down")]


def test_pauses_continue_after_a_restart_of_control(new_rig: Rig) -> None:
    """They are part of the snapshot in the spool's account."""
    earlier = Pause(1_794_000_000_000, 1_794_100_000_000, CLOCK_LEAPED)
    book = json.dumps({"pauses": Pauses([earlier]).rows()})
    new_rig.layout("a")
    new_rig.account(kept=1, waiting=1, newest_ms=1_795_000_000_000, book=book)
    new_rig.poll(1_795_000_900)
    assert pauses(new_rig)[0] == earlier


# Each drop has a line in the log.


def dropped_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines at level ERROR about drops."""
    found = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    return [line for line in found if "dropped" in line]


def test_drops_of_the_spool_are_logged(new_rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """By reason, but not those of an earlier run. What follows within the hour is in a last line."""
    full, old = "the spool is full", "too old"
    new_rig.account(kept=100, waiting=93, dropped={old: 7})
    new_rig.account(kept=100, waiting=90, dropped={old: 7, full: 3})
    new_rig.account(kept=1000, waiting=272, dropped={old: 8, full: 720})
    assert dropped_lines(caplog) == [
        "3 polls dropped: the spool is full.",
        "1 poll dropped: too old.",
    ]
    new_rig.broker.finish()
    assert dropped_lines(caplog)[2:] == [
        "717 polls dropped since the last such line: the spool is full."
    ]
    new_rig.broker.finish()
    assert len(dropped_lines(caplog)) == 3


def test_drops_of_the_channel_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The disk takes nothing for long: the first drop has a line, even before any account."""
    broker = Broker(Channel(max_polls=2), Ledger(1000))
    collector = Worker(Role("collector", lambda _: None, signal.SIGKILL))
    for second in range(1, 6):
        broker.handle(collector, [Kind.POLL, "a", second * 1000, b"", "", 1000])
    assert dropped_lines(caplog) == ["1 poll dropped: the channel was full."]
    broker.finish()
    assert dropped_lines(caplog)[1:] == [
        "2 polls dropped since the last such line: the channel was full."
    ]


def test_the_uploader_gets_each_part_of_a_divided_layout_once(rig: Rig) -> None:
    """As the collector does: what the last divided layout had is not sent again, whatever came between."""
    parts = [
        Layout(Origin("a", "h"), 1000, (Series(f"x{number}", INTEGER),)) for number in range(6)
    ]
    for second, own in enumerate(([0, 1, 2], [0, 1, 3], None, [0, 3, 4]), 1):
        if own is None:
            rig.layout("b")
            rig.poll(second, "b")
            continue
        layout = Layout.of_parts([parts[number] for number in own])
        for part in layout.parts:
            rig.broker.handle(rig.collector, [Kind.PART, part.identifier, part.packed])
        rig.broker.handle(
            rig.collector, [Kind.LAYOUT, layout.identifier, layout.packed, layout.interval_ms]
        )
        rig.poll(second, layout.identifier)
        rig.kept(second)
    names = {part.identifier: number for number, part in enumerate(parts)}
    said = [
        {Kind.PART: names.get(message[1], -1), Kind.LAYOUT: "layout", Kind.POLL: "poll"}[message[0]]
        for message in rig.far.receive()
        if message[0] in {Kind.PART, Kind.LAYOUT, Kind.POLL}
    ]
    polls: list[list[object]] = [[]]
    for what in said:
        polls[-1].append(what)
        if what == "poll":
            polls.append([])
    assert [sorted(map(str, poll)) for poll in polls if poll] == [
        ["0", "1", "2", "layout", "poll"],
        ["3", "layout", "poll"],
        ["layout", "poll"],
        ["4", "layout", "poll"],
    ]
    assert rig.broker.layouts == 4


def test_a_new_uploader_gets_every_part(rig: Rig) -> None:
    """Those of the one before are lost with it."""
    layout = Layout.of_parts(
        [Layout(Origin("a", "h"), 1000, (Series(f"x{number}", INTEGER),)) for number in range(3)]
    )
    for part in layout.parts:
        rig.broker.handle(rig.collector, [Kind.PART, part.identifier, part.packed])
    rig.broker.handle(rig.collector, [Kind.LAYOUT, layout.identifier, layout.packed, 1000])
    for second in (1, 2):
        rig.poll(second, layout.identifier)
        kinds = [message[0] for message in rig.far.receive()]
        assert kinds.count(Kind.PART) == 3
        rig.broker.uploader_gone()
