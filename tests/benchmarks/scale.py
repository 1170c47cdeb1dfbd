"""The cost of a datapoint on a large host, compared with a small one; both are simulated."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.wire.encode import encode
from tests.benchmarks.hosts import LARGE, SMALL, Host, polls
from tests.benchmarks.noise import Figure, once, processors

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMES = 50


@dataclass(frozen=True)
class Scale:
    """Datapoints of a poll of the large host, the ms to encode it, and ratios.

    A ratio compares the processor time per datapoint, large to small, in all and by part.
    """

    datapoints: int
    encode_ms: Figure
    ratio: Figure
    poll_ratio: Figure
    encode_ratio: Figure


def scale() -> Scale:
    """Measure both hosts, one after the other."""
    before = processors()
    small_count, small_poll, small_encode = _costs(SMALL)
    count, poll, encoded = _costs(LARGE)
    figures = (
        encoded * 1000,
        ((poll + encoded) / count) / ((small_poll + small_encode) / small_count),
        (poll / count) / (small_poll / small_count),
        (encoded / count) / (small_encode / small_count),
    )
    other = processors().other_since(before)
    return Scale(count, *(once(value, other) for value in figures))


def _costs(host: Host) -> tuple[int, float, float]:
    """Return the datapoints of a poll, and the seconds to take and to encode one."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as home:
        poller = host.install(patch, Path(home, "proc"))
        layout, (poll,) = polls(poller, 1)
        layouts = {layout.identifier: layout}
        return (
            len(layout.series),
            _seconds(lambda: poller.poll(1)),
            _seconds(lambda: encode(layouts, [poll], 1)),
        )


def _seconds(action: Callable[[], object]) -> float:
    """Return the processor time of one call: the median of many, after a first one."""
    action()
    taken = []
    for _ in range(_TIMES):
        began = time.process_time()
        action()
        taken.append(time.process_time() - began)
    return statistics.median(taken)
