"""Searches for what a receiver refuses, by probes of which it stores nothing.

Prometheus takes a request as a whole or not at all, and once it has a later sample of a series, it
never takes an earlier one. So no part of a refused request may be stored on trial. A probe is a
message with a series at its end that Prometheus always refuses: a label twice. If its answer names
that series, all samples before it are acceptable (docs/decisions/033-remote-write.md).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from pattoo_mp.upload.answer import Outcome
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.remote_write.answer import ACCEPTABLE, Refused
from pattoo_mp.upload.remote_write.message import field, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: How long a search may take.
SEARCH_S: Final = 60.0
#: The most probes to find series among others.
_MAX_PROBES: Final = 256


class Prober(Protocol):
    """Sends probes."""

    def probe(self, message: bytes) -> Outcome:
        """Send a message that has a poisoned part. Return `ACCEPTABLE` if only that was refused."""


class ProbeFailedError(Exception):
    """A probe had no answer that says anything about its samples."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


class ProbeStoredError(Exception):
    """A receiver has stored a probe: it takes what is good of a request."""


class Search:
    """Sends probes until `SEARCH_S` have passed."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._until = time.monotonic() + SEARCH_S

    def refusal(self, message: bytes, time_ms: int) -> str:
        """Return why the receiver would refuse a message; empty if it would take it.

        `time_ms` is that of the probe's own sample: one of the message's.
        """
        if time.monotonic() >= self._until:
            late = f"a search for the refused samples takes longer than {SEARCH_S:g} s"
            raise ProbeFailedError(Outcome(late, Fault.UNREACHABLE, reached=True))
        outcome = self._prober.probe(message + poison(time_ms))
        if outcome is ACCEPTABLE:
            return ""
        if outcome.delivered:
            raise ProbeStoredError
        if not isinstance(outcome, Refused) or not outcome.atomic:
            raise ProbeFailedError(outcome)
        return outcome.reason

    def bad_among(
        self, series: Sequence[bytes], refusal: Callable[[Sequence[bytes]], str]
    ) -> list[bytes]:
        """Return the series that are refused; whole groups of them once there are many."""
        found: list[bytes] = []
        groups = [series]
        for _ in range(_MAX_PROBES):
            if not groups:
                return found
            group = groups.pop()
            if not group or not refusal(group):
                continue
            if len(group) == 1:
                found += group
            else:
                half = len(group) // 2
                groups += [group[:half], group[half:]]
        return found + [labels for group in groups for labels in group]


def first_true(count: int, is_true: Callable[[int], bool]) -> int:
    """Return the first number below `count` for which `is_true`, or `count`.

    It is true for all later ones, too.
    """
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if is_true(middle):
            high = middle
        else:
            low = middle + 1
    return low


def poison(time_ms: int) -> bytes:
    """Return the series that Prometheus always refuses, with one sample."""
    label = field(1, field(1, b"p") + field(2, b"1"))
    name = field(1, field(1, b"__name__") + field(2, b"pattoo_probe"))
    return field(1, name + label + label + sample(1.0, time_ms))
