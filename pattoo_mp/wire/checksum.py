"""The checksum that names a series in a pattoo database.

The pattoo server finds a series by this value, so it must equal, digit for digit, the one that
PattooShared's `DataPoint` classes compute for the same series. If it changes, a database starts new
series and charts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.util.lean_imports import sha256

if TYPE_CHECKING:
    from pattoo_mp.model import Origin, Pair

#: Metadata that is not part of the checksum: it may change without starting a new series.
NOT_HASHED = frozenset({"release", "version"})


def series_checksum(key: str, data_type: int, metadata: tuple[Pair, ...], origin: Origin) -> str:
    """Return the chained SHA-256 of all that identifies the series, in order: 64 hex digits.

    `metadata` has each key once, as from `normalise`.
    """
    checksum = _digest(f"{key}{data_type}")
    hashed = [pair for pair in metadata if pair[0] not in NOT_HASHED]
    for name, value in [*hashed, *origin_pairs(origin)]:
        checksum = _digest(f"{checksum}{name}{value}")
    return checksum


def origin_pairs(origin: Origin) -> tuple[Pair, ...]:
    """Return the four pairs that name a datapoint's origin, in the order of the checksum."""
    return (
        ("pattoo_agent_hostname", origin.hostname),
        ("pattoo_agent_id", origin.agent_id),
        ("pattoo_agent_polled_target", origin.target),
        ("pattoo_agent_program", origin.program),
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
