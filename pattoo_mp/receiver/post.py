"""A post as it was understood: plain data, every datapoint with its pairs put in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Data types as the pattoo server numbers them.
STRING: Final = 2
COUNTER32: Final = 32
COUNTER64: Final = 64
INTEGER: Final = 99
FLOAT: Final = 101
DATA_TYPES: Final = frozenset({STRING, COUNTER32, COUNTER64, INTEGER, FLOAT})

Value = int | float | str


@dataclass(frozen=True, slots=True)
class Datapoint:
    """One value of one series at one time.

    `value` is a number unless `data_type` is `STRING`. Times are Unix time in ms, the interval
    is in ms. `metadata` is in the order of the post; a key given twice keeps its first value.
    """

    key: str
    value: Value
    data_type: int
    timestamp_ms: int
    checksum: str
    polling_interval_ms: int
    agent_id: str
    target: str
    hostname: str
    program: str
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Post:
    """The body of one request: what its envelope says, and its datapoints in order."""

    timestamp_ms: int
    agent_id: str
    polling_interval_ms: int
    datapoints: tuple[Datapoint, ...]

    @property
    def polls(self) -> int:
        """How many different times the datapoints have."""
        return len({point.timestamp_ms for point in self.datapoints})
