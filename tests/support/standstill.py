"""Detects when this host stood still or was overloaded. The agent is not to blame for ticks missed then."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pattoo_mp.collect.collector import request_short_slice
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from types import TracebackType

    #: As the status has it.
    Gap = dict[str, Any]

_LOOK_S: Final = 0.01
#: A thread that sleeps for a moment oversleeps by this much only if no processor is available.
_STILL_S: Final = 0.08
#: So many processes for each processor that want to run at once are too many for a poll in time: it is
#: woken soon, but each of its time slices waits for theirs.
_OVERLOAD: Final = 2


def runnable() -> int:
    """Return how many threads of this host, but for this one, run or want to."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1


class Host:
    """Watches the clock on each processor during a `with` block.

    A virtual host, or one of its processors, may stop for a second, and with it the tests and the agent.
    """

    def __init__(self) -> None:
        self._stood: list[tuple[float, float]] = []
        self._runnable: list[tuple[float, int]] = []
        self._looked = dict.fromkeys(os.sched_getaffinity(0), 0.0)
        self._over = threading.Event()
        self._watching = [
            threading.Thread(target=self._watch, args=(processor,), daemon=True)
            for processor in self._looked
        ]

    def excuses(self, gap: Gap, ahead_ms: int = 0) -> bool:
        """Return whether the host stood still or was overloaded at each tick that is missing in `gap`.

        The agent's clock was ahead of ours by `ahead_ms`.
        """
        if gap["reason"] != "late":
            return False
        interval_ms = (gap["before_ms"] - gap["after_ms"]) / (gap["ticks"] + 1)
        begin_ms = gap["after_ms"] - ahead_ms
        return all(
            self._was_out_of_order(begin_ms + number * interval_ms, interval_ms)
            for number in range(1, gap["ticks"] + 1)
        )

    def assert_none_missed(self, status: dict[str, Any]) -> list[Gap]:
        """Assert that the agent missed no tick except while the host stood still. Return those gaps."""
        gaps: list[Gap] = status["gaps"]
        assert sum(gap["ticks"] for gap in gaps) == sum(status["missed"].values())
        assert [gap for gap in gaps if not self.excuses(gap)] == []
        return gaps

    def _was_out_of_order(self, from_ms: float, for_ms: float) -> bool:
        now = time.time()
        wait_for(lambda: min(self._looked.values()) > now, what="a look at the clock")
        begin, end = from_ms / 1000, (from_ms + for_ms) / 1000
        if any(before < end and begin < after for before, after in self._stood):
            return True
        counts = [count for at, count in self._runnable if begin <= at < end]
        too_many = _OVERLOAD * len(self._looked)
        return 2 * sum(count > too_many for count in counts) > len(counts)

    def _watch(self, processor: int) -> None:
        os.sched_setaffinity(0, {processor})  # for this thread only (sched_setaffinity(2))
        request_short_slice()  # as a collector does
        before = time.time()
        while not self._over.wait(_LOOK_S):
            now = time.time()
            if now - before > _STILL_S:
                self._stood.append((before, now))
            self._runnable.append((now, runnable()))
            before = self._looked[processor] = now

    def __enter__(self) -> Self:
        for thread in self._watching:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._watching:
            thread.join()
