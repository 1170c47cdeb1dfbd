"""Ages without the times in which waiting polls do not grow older."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.model import CLOCK_LEAPED, Layout, Origin, Poll
from pattoo_mp.spool.pauses import Pause, Pauses
from tests.support.spools import OUTPUT, limits_with, open_spool

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.spool.store import Spool

DAY_MS = 86_400_000
START_MS = 1_795_000_000_000
LAYOUT = Layout(Origin("a" * 64, "host"), 1000, ())


def book(*pauses: Pause) -> str:
    """A snapshot of the ledger with these pauses."""
    return json.dumps({"missed": {}, "pauses": Pauses(pauses).rows()})


def keep(spool: Spool, *times_ms: int, channel: str = "c", snapshot: str = "") -> None:
    """Store a poll at each time, one after another."""
    for time_ms in times_ms:
        poll = Poll(LAYOUT.identifier, time_ms, b"")
        spool.append([(time_ms, poll)], {LAYOUT.identifier: LAYOUT.packed}, channel, snapshot)


def times(spool: Spool) -> list[int]:
    """The times of all polls that wait."""
    return [spooled.poll.timestamp_ms for spooled in spool.oldest(OUTPUT, 1000)]


def test_a_clock_that_leaps_makes_no_poll_too_old(tmp_path: Path) -> None:
    """By 40 days with a limit of 30, also after a restart. Later polls grow old as ever."""
    spool = open_spool(tmp_path / "spool", limits_with(max_age_s=60))
    before = [START_MS + 1000 * n for n in range(21)]
    leaped_ms = before[-1] + 40 * DAY_MS
    leap = book(Pause(before[-1], leaped_ms, CLOCK_LEAPED))
    keep(spool, *before)
    keep(spool, leaped_ms, snapshot=leap)
    keep(spool, leaped_ms + 1000)
    assert times(spool) == [*before, leaped_ms, leaped_ms + 1000]
    spool.close()
    spool = open_spool(tmp_path / "spool", limits_with(max_age_s=60))
    keep(spool, leaped_ms + 41_000)
    assert times(spool)[:2] == [before[1], before[2]]
    assert spool.account(OUTPUT).dropped == {"too old": 1}
    keep(spool, leaped_ms + 61_000)
    assert times(spool) == [leaped_ms + 1000, leaped_ms + 41_000, leaped_ms + 61_000]
    spool.close()


def test_the_first_poll_after_a_restart_makes_none_too_old(tmp_path: Path) -> None:
    """Control finds out afterwards how long no agent ran, and its snapshot has that time."""
    spool = open_spool(tmp_path / "spool", limits_with(max_age_s=60))
    keep(spool, START_MS, channel="one")
    back_ms = START_MS + 40 * DAY_MS
    keep(spool, back_ms, channel="two")
    pause = book(Pause(START_MS, back_ms, "the agent was down"))
    keep(spool, back_ms + 1000, channel="two", snapshot=pause)
    assert times(spool) == [START_MS, back_ms, back_ms + 1000]
    spool.close()


@pytest.mark.parametrize(
    "snapshot", ["", "{", "[]", "{}", '{"pauses": 3}', '{"pauses": [[1, 2]]}', '{"pauses": [3]}']
)
def test_a_snapshot_without_readable_pauses_has_none(snapshot: str) -> None:
    """That of an earlier release, or a damaged one."""
    assert Pauses.read(snapshot) == []


def test_the_longest_pauses_are_kept() -> None:
    """The shortest ones matter least."""
    pauses = Pauses(Pause(n * 1000, n * 1000 + n, "down") for n in range(100))
    assert [after // 1000 for after, _, _ in pauses.rows()] == list(range(80, 100))


@given(
    lengths=st.lists(st.tuples(st.integers(1, 10**6), st.booleans()), min_size=1, max_size=30),
    age_ms=st.integers(0, 10**7),
)
def test_an_age_is_the_time_without_pauses(lengths: list[tuple[int, bool]], age_ms: int) -> None:
    """Time that counts and pauses alternate: a poll is `age_ms` old exactly from `before` on."""
    pauses, now_ms = [], START_MS
    for length, is_pause in lengths:
        if is_pause:
            pauses.append(Pause(now_ms, now_ms + length, "why"))
        now_ms += length
    made_ms = Pauses(pauses[-20:]).before(now_ms, age_ms)
    in_pauses = sum(max(0, p.before_ms - max(p.after_ms, made_ms)) for p in pauses[-20:])
    assert now_ms - made_ms - in_pauses == age_ms
