"""A target as a hub's collector keeps it, and what one answer makes of it. Small: a hub has thousands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.values import host_in_url
from pattoo_mp.ipc.messages import SpokeReport, SpokeState
from pattoo_mp.model import now_ms
from pattoo_mp.util.lean_imports import blake2b

if TYPE_CHECKING:
    from pattoo_mp.collect.spokes.pulled import Known
    from pattoo_mp.collect.spokes.taken import LeftOut
    from pattoo_mp.config.values import Target

#: An answer that took longer than this (s) is slow.
SLOW_S: Final = 5.0
GAPLESS: Final = "gapless"
PAGE: Final = "page"
#: Why a page was missed, by what its spoke did.
MISSED_WHY: Final = {
    SpokeState.AWAY: "the spoke was away",
    SpokeState.SLOW: "the spoke was slow",
    SpokeState.REFUSING: "the spoke gave no usable page",
}
HUB_WAS_DOWN: Final = "the hub was down"
HUB_WAS_LATE: Final = "the hub was late"
_RANGE: Final = 2**64
#: The part of an interval before which no spoke is asked again, but for what it has more of.
_SOONEST: Final = 0.4


class Spoke:
    """A target with its state. Times without a unit in their name are monotonic, in s.

    - `slot` is its next tick by the clock; `offset_s` is where that is in its interval, the same after a
      restart. `due` is when it is asked next: at that tick, or sooner after a start.
    - `hangs`: its last request ended without an answer. `waits`: it is to be asked once its polls are stored.
    - `kind` is `GAPLESS` or `PAGE`, empty as long as that is unknown; `probe_at`: when to ask again which.
    - `up_to` is the number to acknowledge once this collector's poll number `safe_at` is in the spool.
    - `agent_id` is who it is; `claims` is who it said it is last, which may be another target's identity.
    - `digest` and `layout_id` are those of the last page; `known` are the layouts of an agent of ours.
    """

    __slots__ = (
        "_asked",
        "_failed",
        "_left_out",
        "_left_out_why",
        "_missed",
        "_repeated",
        "_taken",
        "account",
        "agent_id",
        "busy",
        "claims",
        "digest",
        "due",
        "gone",
        "hangs",
        "hostname",
        "interval_s",
        "kind",
        "known",
        "layout_id",
        "layouts",
        "logged",
        "miss_why",
        "more",
        "offset_s",
        "probe_at",
        "safe_at",
        "since_ms",
        "slot",
        "state",
        "target",
        "token",
        "token_due",
        "up_to",
        "waits",
        "why",
    )  # fmt: skip

    def __init__(self, target: Target, interval_ms: int) -> None:
        self.since_ms = now_ms()
        self.state = SpokeState.NEW
        self.why = self.logged = ""
        self.kind = self.agent_id = self.claims = self.hostname = ""
        self.busy = self.gone = self.hangs = self.more = self.waits = False
        self.due = self.slot = self.probe_at = self.token_due = 0.0
        self.up_to = self.safe_at = 0
        self.digest, self.layout_id, self.token = b"", "", ""
        self.known: dict[str, Known] | None = None
        #: The newest layout that control has, by group.
        self.layouts: dict[str, str] = {}
        self.miss_why = HUB_WAS_DOWN
        self.account: tuple[int, ...] = ()
        self._left_out_why = ""
        self._asked = self._failed = self._taken = self._left_out = self._repeated = (
            self._missed
        ) = 0
        self.target = target
        self.change(target, interval_ms)

    def change(self, target: Target, interval_ms: int) -> None:
        """Use other settings of the same target. `interval_ms` is that of the hub."""
        before = self.target
        if (before.ip_address, before.ip_bind_port) != (target.ip_address, target.ip_bind_port):
            # Another host: what the old one has not been told comes again, if it is a target again.
            self.up_to, self.known, self.kind = 0, None, ""
        self.target = target
        self.interval_s = (target.interval_ms or interval_ms) / 1000
        digest = blake2b(target.name.encode(), digest_size=8).digest()
        self.offset_s = self.interval_s * int.from_bytes(digest, "big") / _RANGE
        self.token_due = 0.0

    @property
    def host(self) -> str:
        """Host and port as a URL has them."""
        return f"{host_in_url(self.target.ip_address)}:{self.target.ip_bind_port}"

    def first_due(self, wall_s: float, after_s: float) -> float:
        """Return how long (s) until its first tick, at this time of the wall clock.

        It is the first one after `after_s`, of the last interval at most; it may be overdue.
        """
        base = max(after_s, wall_s - self.interval_s)
        ticks = (base - self.offset_s) // self.interval_s + 1
        return ticks * self.interval_s + self.offset_s - wall_s

    def due_after(self, now: float) -> float:
        """Return when it is asked next, after it is asked now: at a tick, but not soon after.

        At most 1.4 intervals later, so that no tick seems to be missed.
        """
        soonest = now + _SOONEST * self.interval_s
        if self.slot < soonest:
            self.slot += self.interval_s * math.ceil((soonest - self.slot) / self.interval_s)
        return self.slot

    def asked(self) -> None:
        """Count a request."""
        self._asked += 1

    def answered(self, took_s: float, why: str = "") -> None:
        """Note a good answer. `why` says what is nevertheless worth knowing."""
        if took_s > SLOW_S:
            self.set_state(SpokeState.SLOW, f"its answer took {took_s:.1f} s")
        else:
            self.set_state(SpokeState.WELL, why)
        self.miss_why, self.hangs = HUB_WAS_LATE, False

    def failed(self, state: SpokeState, why: str) -> None:
        """Note a request without a usable answer."""
        self._failed += 1
        self.set_state(state, why)
        self.miss_why = MISSED_WHY.get(state, HUB_WAS_LATE)
        self.hangs = state is not SpokeState.REFUSING

    def set_state(self, state: SpokeState, why: str) -> None:
        """Note how it answers, and why so."""
        if state is not self.state:
            self.state, self.since_ms = state, now_ms()
        self.why = why

    def took(self, polls: int, repeated: int, left_out: LeftOut, missed: int) -> None:
        """Count what an answer brought."""
        self._taken += polls
        self._repeated += repeated
        self._missed += missed
        self._left_out += left_out.total
        self._left_out_why = left_out.why or self._left_out_why

    def report(self) -> SpokeReport:
        """Return the report of what happened since the last one."""
        made = SpokeReport(
            self.state, self.since_ms, self.why, self.kind, self.agent_id, self.hostname,
            self._asked, self._failed, self._taken, self._left_out, self._repeated, self._missed,
            self._left_out_why, self.account,
        )  # fmt: skip
        self._asked = self._failed = self._taken = self._left_out = self._repeated = (
            self._missed
        ) = 0
        return made
