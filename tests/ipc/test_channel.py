"""The queue between the collector and the uploader."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pattoo_mp.ipc.channel import Channel, Lease, Missed
from pattoo_mp.model import INTEGER, Layout, Poll, Series
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Collection

EVERYTHING = 1 << 30
#: The size that a poll without values counts for.
OVERHEAD = 300


def poll(number: int, layout: str = "a", size: int = 1) -> Poll:
    """A poll with the time `number`."""
    return Poll(layout, number, b"\0" * size)


def filled(count: int, max_polls: int = 100) -> Channel:
    """A channel with the polls 1 to `count`."""
    channel = Channel(max_polls=max_polls)
    for number in range(1, count + 1):
        channel.put(poll(number))
    return channel


def numbers(lease: Lease) -> list[int]:
    """The polls of a lease, by their times."""
    return [p.timestamp_ms for _, p in lease.polls]


def test_polls_come_out_in_the_order_in_which_they_went_in() -> None:
    """A lease gives the oldest first, numbered from 1."""
    lease = filled(3).lease(EVERYTHING)
    assert [(sequence, p.timestamp_ms) for sequence, p in lease.polls] == [(1, 1), (2, 2), (3, 3)]


def test_a_lease_removes_nothing() -> None:
    """A leased poll still counts."""
    channel = filled(3)
    channel.lease(EVERYTHING)
    assert len(channel) == 3


def test_a_poll_is_leased_once() -> None:
    """A second lease has only what came after the first."""
    channel = filled(2)
    channel.lease(EVERYTHING)
    channel.put(poll(3))
    assert numbers(channel.lease(EVERYTHING)) == [3]
    assert numbers(channel.lease(EVERYTHING)) == []


def test_a_lease_is_bounded_in_bytes_but_has_at_least_one_poll() -> None:
    """A poll larger than the bound is leased alone; nothing follows until it is acknowledged."""
    channel = filled(3)
    assert numbers(channel.lease(1)) == [1]
    assert numbers(channel.lease(1)) == []
    channel.acknowledge(1)
    assert numbers(channel.lease(1)) == [2]


def test_acknowledge_removes_up_to_the_sequence() -> None:
    """Later polls stay."""
    channel = filled(3)
    channel.lease(EVERYTHING)
    channel.acknowledge(2)
    assert len(channel) == 1
    channel.release()
    assert numbers(channel.lease(EVERYTHING)) == [3]


def test_acknowledge_removes_only_what_was_leased() -> None:
    """A sequence number beyond the lease removes no other poll."""
    channel = filled(1)
    channel.lease(EVERYTHING)
    channel.put(poll(2))
    channel.acknowledge(99)
    assert numbers(channel.lease(EVERYTHING)) == [2]


def test_release_gives_the_same_polls_again_in_order() -> None:
    """The next uploader gets the same polls with the same sequence numbers."""
    channel = filled(3)
    before = channel.lease(EVERYTHING)
    channel.put(poll(4))
    channel.release()
    after = channel.lease(EVERYTHING)
    assert after.polls[:3] == before.polls
    assert numbers(after) == [1, 2, 3, 4]


def test_the_oldest_poll_is_dropped_when_the_channel_is_full_by_count() -> None:
    """The newest are kept, and the dropped ones are counted."""
    channel = filled(5, max_polls=3)
    assert (len(channel), channel.dropped) == (3, 2)
    assert numbers(channel.lease(EVERYTHING)) == [3, 4, 5]


def test_the_oldest_poll_is_dropped_when_the_channel_is_full_by_bytes() -> None:
    """A large poll displaces as many small ones as necessary."""
    channel = Channel(max_bytes=4 * (OVERHEAD + 100))
    for number in range(1, 5):
        channel.put(poll(number, size=100))
    assert channel.dropped == 0
    channel.put(poll(5, size=500))
    assert channel.dropped == 2
    assert numbers(channel.lease(EVERYTHING)) == [3, 4, 5]


def test_the_newest_poll_is_kept_however_large_it_is() -> None:
    """A poll larger than the channel replaces all others."""
    channel = Channel(max_bytes=1000)
    channel.put(poll(1))
    channel.put(poll(2, size=5000))
    assert numbers(channel.lease(EVERYTHING)) == [2]
    assert channel.dropped == 1


def test_a_leased_poll_is_never_dropped() -> None:
    """A full channel drops the oldest poll that is not leased."""
    channel = filled(2, max_polls=3)
    channel.lease(EVERYTHING)
    for number in range(3, 10):
        channel.put(poll(number))
    channel.release()
    channel.put(poll(10))
    assert numbers(channel.lease(EVERYTHING)) == [1, 2, 10]
    assert channel.dropped == 7


def test_a_poll_that_was_stored_by_an_uploader_that_has_exited_is_removed() -> None:
    """It was killed between the commit and the acknowledgement; the next one reports its polls."""
    channel = filled(3)
    channel.lease(1)
    channel.acknowledge(1)
    channel.lease(EVERYTHING)
    channel.release()
    channel.put(poll(4))
    channel.acknowledge(2)
    assert len(channel) == 2
    assert numbers(channel.lease(EVERYTHING)) == [3, 4]


def test_missed_ticks_stay_with_their_poll() -> None:
    """Until it is acknowledged or dropped."""
    channel = Channel(max_polls=3)
    for number in range(1, 7):
        channel.note_missed(number, "late")
        channel.put(poll(number))
    channel.note_missed(3, "late")
    channel.note_missed(4, "down")
    expected = {
        5: Missed(Counter(late=5), 1),
        6: Missed(Counter(late=6), 1),
        7: Missed(Counter(late=3, down=4), 2),
    }
    assert channel.missed_from(5) == expected
    assert list(channel.missed_from(1)) == [4, 5, 6, 7]
    channel.lease(EVERYTHING)
    channel.release()
    channel.lease(EVERYTHING)
    channel.acknowledge(5)
    assert list(channel.missed_from(1)) == [6, 7]


def test_an_acknowledgement_frees_bytes() -> None:
    """An acknowledged poll takes no more room."""
    channel = Channel(max_bytes=2 * (OVERHEAD + 1))
    for number in range(1, 50):
        channel.put(poll(number))
        channel.lease(EVERYTHING)
        channel.acknowledge(number)
    assert (len(channel), channel.dropped) == (0, 0)


def test_a_lease_has_the_layouts_of_its_polls() -> None:
    """Each layout that they use, and no other."""
    channel = Channel()
    channel.add_layout("a", b"A", 1000)
    channel.put(poll(1, "a"))
    channel.add_layout("b", b"B", 1000)
    channel.put(poll(2, "b"))
    assert channel.lease(1).layouts == {"a": b"A"}
    channel.acknowledge(1)
    assert channel.lease(1).layouts == {"b": b"B"}


def test_each_lease_has_the_layout_again() -> None:
    """So a new uploader gets it, too."""
    channel = Channel()
    channel.add_layout("a", b"A", 1000)
    channel.put(poll(1, "a"))
    assert channel.lease(EVERYTHING).layouts == {"a": b"A"}
    channel.release()
    assert channel.lease(EVERYTHING).layouts == {"a": b"A"}


def test_a_layout_without_polls_is_forgotten_when_the_next_one_comes() -> None:
    """So changes over years do not fill the memory."""
    channel = Channel()
    for number in range(100):
        channel.add_layout(str(number), b"x", 1000)
        channel.put(poll(number, str(number)))
        channel.lease(EVERYTHING)
        channel.acknowledge(number + 1)
    assert len(channel._layouts) <= 2


def test_the_newest_layout_of_each_group_is_kept() -> None:
    """A slow group keeps its layout while a faster one has had several."""
    channel = Channel()
    channel.add_layout("slow", b"S", 60_000)
    for number, layout in enumerate(("a", "b", "c"), 1):
        channel.add_layout(layout, layout.encode(), 100)
        channel.put(poll(number, layout))
        channel.lease(EVERYTHING)
        channel.acknowledge(number)
    channel.put(poll(4, "slow"))
    channel.put(poll(5, "c"))
    assert channel.lease(EVERYTHING).layouts == {"slow": b"S", "c": b"c"}


def test_layouts_of_ended_groups_stay_for_waiting_polls() -> None:
    """And no longer, so changes of intervals over years do not fill the memory."""
    channel = Channel()
    channel.add_layout("a", b"A", 100)
    channel.put(poll(1, "a"))
    channel.keep_groups({200})
    assert channel.lease(EVERYTHING).layouts == {"a": b"A"}
    channel.acknowledge(1)
    channel.add_layout("b", b"B", 200)
    assert list(channel._layouts) == ["b"]


# Divided layouts.


def divided(*numbers: int) -> Layout:
    """The layout of these parts."""
    return Layout.of_parts(
        [Layout(ORIGIN, 1000, (Series(f"x{n}" * 100, INTEGER),)) for n in numbers]
    )


def add(channel: Channel, layout: Layout, known: Collection[str] = ()) -> None:
    """Add a layout as a collector does, without the parts that are known."""
    for part in layout.parts:
        if part.identifier not in known:
            channel.add_part(part.identifier, part.packed)
    channel.add_layout(layout.identifier, layout.packed, layout.interval_ms)


def everything(*layouts: Layout) -> dict[str, bytes]:
    """The bytes of layouts and their parts."""
    return {i.identifier: i.packed for layout in layouts for i in (layout, *layout.parts)}


def test_a_lease_has_the_parts_of_its_layouts() -> None:
    """Also those that came with an earlier layout, whose polls are gone."""
    channel = Channel()
    first, second = divided(1, 2), divided(2, 3)
    add(channel, first)
    channel.put(poll(1, first.identifier))
    assert channel.lease(EVERYTHING).layouts == everything(first)
    channel.acknowledge(1)
    add(channel, second, everything(first))
    channel.put(poll(2, second.identifier))
    assert channel.lease(EVERYTHING).layouts == everything(second)
    channel.release()
    add(channel, divided(4))
    assert channel.lease(EVERYTHING).layouts == everything(second)


def test_the_layouts_of_a_host_that_changes_all_the_time_count_as_memory() -> None:
    """While the uploader is away the oldest polls go, not the memory of the host."""
    channel = Channel(max_bytes=50_000)
    add(channel, divided(0, 1, 2, 3))
    for number in range(4, 1000):
        layout = divided(0, 1, 2, number)
        add(channel, layout, everything(divided(0, 1, 2, number - 1)))
        channel.put(poll(number, layout.identifier))
    assert channel.dropped > 900
    assert sum(map(len, channel.lease(EVERYTHING).layouts.values())) < 50_000


class ChannelAgainstList(RuleBasedStateMachine):
    """After any sequence of operations, the channel behaves like two plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.channel = Channel(max_polls=6, max_bytes=6 * (OVERHEAD + 50))
        self.waiting: list[tuple[int, Poll]] = []
        self.leased: list[tuple[int, Poll]] = []
        self.put = 0
        self.acknowledged = 0
        self.dropped = 0
        self.ever_leased = 0

    @rule(size=st.integers(0, 400))
    def put_one(self, size: int) -> None:
        """Put a poll; drop as the channel is documented to."""
        self.put += 1
        self.waiting.append((self.put, poll(self.put, size=size)))
        self.channel.put(self.waiting[-1][1])
        while len(self.new) > 1 and (
            len(self.all) > 6 or sum(map(_bytes, self.all)) > 6 * (OVERHEAD + 50)
        ):
            self.waiting.remove(self.new[0])
            self.dropped += 1

    @rule(max_bytes=st.integers(1, 2000))
    def lease(self, max_bytes: int) -> None:
        """Lease some polls."""
        expected = []
        while self.waiting and (not self.leased or sum(map(_bytes, self.leased)) < max_bytes):
            expected.append(self.waiting.pop(0))
            self.leased.append(expected[-1])
            self.ever_leased = max(self.ever_leased, expected[-1][0])
        assert list(self.channel.lease(max_bytes).polls) == expected

    @rule(back=st.integers(-1, 8))
    def acknowledge(self, back: int) -> None:
        """Acknowledge some of the polls ever put; only those ever leased can be in the spool."""
        sequence = self.put - back
        before = len(self.all)
        self.channel.acknowledge(sequence)
        stored = min(sequence, self.ever_leased)
        self.leased = [item for item in self.leased if item[0] > stored]
        self.waiting = [item for item in self.waiting if item[0] > stored]
        self.acknowledged += before - len(self.all)

    @rule()
    def release(self) -> None:
        """Lose the uploader."""
        self.channel.release()
        self.waiting, self.leased = self.leased + self.waiting, []

    @invariant()
    def ledger_closes(self) -> None:
        """Every poll ever put is acknowledged, in the channel, or counted as dropped."""
        assert len(self.channel) == len(self.all)
        assert self.channel.dropped == self.dropped
        assert self.put == self.acknowledged + len(self.channel) + self.channel.dropped

    @property
    def new(self) -> list[tuple[int, Poll]]:
        """The polls that were never leased."""
        return [item for item in self.waiting if item[0] > self.ever_leased]

    @property
    def all(self) -> list[tuple[int, Poll]]:
        """All polls in the channel."""
        return self.leased + self.waiting


def _bytes(item: tuple[int, Poll]) -> int:
    return len(item[1].packed) + OVERHEAD


TestChannelAgainstList = ChannelAgainstList.TestCase
TestChannelAgainstList.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_a_new_uploader_is_leased_as_much_as_the_one_before() -> None:
    """What the one before held counts no more."""
    channel = filled(3)
    channel.lease(EVERYTHING)
    channel.release()
    assert numbers(channel.lease(2 * (OVERHEAD + 1) + 1)) == [1, 2, 3]
