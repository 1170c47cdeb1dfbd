"""What the receiver's database gives back. Times are in ms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredPost:
    """A post, and what became of its `datapoints`.

    Those that are neither `stored` nor `duplicates` nor `late` are strings, which make a series
    but are not stored as data. `stale_envelope`: the envelope's timestamp was not greater than
    all that the agent had sent before.
    """

    id: int
    received_ms: int
    agent_id: str
    envelope_ms: int
    polling_interval_ms: int
    polls: int
    datapoints: int
    stored: int
    duplicates: int
    late: int
    bytes: int
    stale_envelope: bool


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A datapoint, with what its series is called."""

    timestamp_ms: int
    agent_id: str
    target: str
    key: str
    metadata: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the whole database; `datapoints` counts those that came, stored or not."""

    posts: int
    polls: int
    datapoints: int
    stored: int
    duplicates: int
    late: int
    stale_envelopes: int
    series: int
