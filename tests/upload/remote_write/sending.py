"""A delivery from a real spool to a receiver, step by step, and polls for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.config.values import NO_FILES, REMOTE_WRITE, Output
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Layout, Origin, Poll, Series, Value, now_ms
from pattoo_mp.upload.pacing import Backoff
from pattoo_mp.upload.remote_write.servers import sender
from pattoo_mp.upload.spooled import Outbox
from tests.support.spools import AMPLE, open_spool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pattoo_mp.spool.account import OutputState
    from pattoo_mp.upload.post import Attempt

NAME = "metrics"
STEP_MS = 100
ORIGIN = Origin("f" * 64, "web1")
HOST = (("release", "6.1"), ("version", "#1"), ("processor", ""), ("type", "Linux"), ("cpus", "2"))
SERIES = (
    Series("load", INTEGER, HOST),
    Series("cpu_times_user", COUNTER64, HOST),
    Series("disk_read", COUNTER64, (*HOST, ("disk_device", "sda"))),
    Series("disk_read", COUNTER64, (*HOST, ("disk_device", "sdb"))),
    Series("temperature", FLOAT, (*HOST, ("sensor", "cpu/0 °C"))),
)
LAYOUT = Layout(ORIGIN, STEP_MS, SERIES)
#: The same without the last series.
SHORTER = Layout(ORIGIN, STEP_MS, SERIES[:-1])
#: What `Sent.samples` has for each poll of `LAYOUT`: its series, and the info series.
PER_POLL = len(SERIES) + 1


def start_ms(before_s: float = 600.0) -> int:
    """Return a time of a tick so long ago."""
    return now_ms() // 1000 * 1000 - round(before_s * 1000)


def values_of(number: int) -> list[Value]:
    """Return the values of the poll of this number."""
    return [number, 10 * number, number // 3, 2**40 + number, number / 7]


def output(url: str, **other: object) -> Output:
    """Return an output of kind remote_write."""
    settings = {"naming": "pattoo", **other}
    return Output(REMOTE_WRITE, NAME, (url,), NO_FILES, **settings)  # type: ignore[arg-type]


class Sending:
    """A spool, and the delivery of its polls to `url`."""

    def __init__(
        self,
        home: Path,
        url: str,
        exchange_s: float = 30.0,
        *,
        of_spokes: bool = False,
        **settings: object,
    ) -> None:
        self.start_ms = start_ms()
        self.spool = open_spool(home / "spool.sqlite", AMPLE, outputs=(NAME,))
        self.number = 0
        self.reconnect(url, exchange_s, of_spokes=of_spokes, **settings)

    def reconnect(
        self, url: str, exchange_s: float = 30.0, *, of_spokes: bool = False, **settings: object
    ) -> None:
        """Begin as a new process does, which knows only the spool."""
        self.outbox = Outbox(self.spool, NAME)
        given = output(url, **settings)
        made = sender(given, self.outbox, exchange_s, of_spokes=of_spokes)
        self.drawn: list[float] = []
        self.deliverer = made.deliverer(made.servers.current, lambda: 0, Backoff(self._draw))

    def fill(self, count: int, layout: Layout = LAYOUT, start_ms: int = 0) -> list[Poll]:
        """Put polls into the spool, one each `STEP_MS`."""
        first = self.number
        numbers = range(first, first + count)
        polls = [
            Poll.of(layout, (start_ms or self.start_ms) + STEP_MS * n, _cut(values_of(n), layout))
            for n in numbers
        ]
        self.append(polls, layout)
        return polls

    def append(self, polls: Sequence[Poll], *layouts: Layout) -> None:
        """Put polls into the spool."""
        packed = {layout.identifier: layout.packed for layout in layouts}
        numbered = list(enumerate(polls, self.number + 1))
        for begin in range(0, len(numbered), 1000):
            self.spool.append(numbered[begin : begin + 1000], packed, "c")
        self.number += len(polls)

    def attempt(self) -> Attempt:
        """Try to deliver one post."""
        attempt = self.deliverer.attempt()
        assert attempt is not None
        return attempt

    def drain(self, most: int = 200) -> list[Attempt]:
        """Try until nothing waits; return the attempts. Fail after `most`."""
        attempts: list[Attempt] = []
        while self.account.waiting:
            attempts.append(self.attempt())
            assert len(attempts) < most, attempts[-1]
        return attempts

    @property
    def account(self) -> OutputState:
        """The output's account."""
        account = self.spool.account(NAME)
        assert not account.unexplained
        return account

    def _draw(self, _low: float, high: float) -> float:
        self.drawn.append(high)
        return 0.0


def _cut(values: list[Value], layout: Layout) -> list[Value]:
    return values[: len(layout.series)]
