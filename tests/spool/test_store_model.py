"""The spool agrees with a simple model after any sequence of operations."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, OTHER, poll
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from pattoo_mp.model import Poll


class SpoolAgainstList(RuleBasedStateMachine):
    """Model: a list of waiting polls, a list of quarantined polls, and the last envelope time."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="pmp-"))
        self.spool = open_spool(self.home / "spool.sqlite", AMPLE)
        self.waiting: list[Poll] = []
        self.quarantined = 0
        self.given: list[tuple[int, Poll]] = []
        self.channel = 1
        self.kept = self.removed = self.made = 0
        self.delivered_ms = 0
        self.envelope_ms = 0

    def teardown(self) -> None:
        """Remove the files."""
        self.spool.close()
        shutil.rmtree(self.home)

    @rule(count=st.integers(0, 5), layout=st.sampled_from([LAYOUT, OTHER]))
    def append(self, count: int, layout: object) -> None:
        """Append new polls of the current channel."""
        for _ in range(count):
            self.made += 1
            chosen = OTHER if layout is OTHER else LAYOUT
            self.given.append((len(self.given) + 1, poll(self.made, chosen)))
        new = self.given[len(self.given) - count :]
        assert self.spool.append(new, LAYOUTS, str(self.channel)) == count
        self.waiting += [p for _, p in new]
        self.kept += count

    @rule(back=st.integers(1, 10))
    def append_again(self, back: int) -> None:
        """Append polls that are stored already."""
        assert self.spool.append(self.given[-back:], LAYOUTS, str(self.channel)) == 0

    @rule()
    def another_channel(self) -> None:
        """Start a new control process, which counts from 1."""
        self.channel += 1
        self.given = []

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Deliver some of the oldest polls."""
        count = data.draw(st.integers(1, len(self.waiting)))
        last = self.spool.oldest(OUTPUT, count)[-1]
        assert self.spool.acknowledge(OUTPUT, last.id) == count
        self.delivered_ms = self.waiting[count - 1].timestamp_ms
        del self.waiting[:count]
        self.removed += count

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def set_aside(self, data: st.DataObject) -> None:
        """Quarantine any poll."""
        place = data.draw(st.integers(0, len(self.waiting) - 1))
        self.spool.set_aside(OUTPUT, self.spool.oldest(OUTPUT, EVERYTHING)[place].id, "why")
        del self.waiting[place]
        self.quarantined += 1

    @rule(now_ms=st.integers(1, 1000))
    def envelope(self, now_ms: int) -> None:
        """Take a timestamp for a post."""
        self.envelope_ms = max(now_ms, self.envelope_ms + 1)
        assert self.spool.next_envelope_ms(OUTPUT, now_ms) == self.envelope_ms

    @rule()
    def reopen(self) -> None:
        """Start a new uploader."""
        self.spool.close()
        self.spool = open_spool(self.home / "spool.sqlite", AMPLE)

    @invariant()
    def agrees(self) -> None:
        """Check polls, order and layouts, and that the account closes."""
        spooled = self.spool.oldest(OUTPUT, EVERYTHING)
        assert [s.poll for s in spooled] == self.waiting
        assert all(
            len(self.spool.layout(p.layout_id).series) == len(p.values()) for p in self.waiting
        )
        assert (self.spool.account(OUTPUT).waiting, self.spool.account(OUTPUT).quarantined) == (
            len(self.waiting),
            self.quarantined,
        )
        state = self.spool.state
        assert state.outputs[OUTPUT].oldest_ms == (
            self.waiting[0].timestamp_ms if self.waiting else 0
        )
        assert state.outputs[OUTPUT].delivered_ms == self.delivered_ms
        assert self.kept == self.removed + self.quarantined + self.spool.account(OUTPUT).waiting


TestSpoolAgainstList = SpoolAgainstList.TestCase
TestSpoolAgainstList.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
