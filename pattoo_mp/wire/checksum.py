"""The checksum that names a series in a pattoo database.

The pattoo server finds a series again by this value, so it must equal, digit for digit, the one
that PattooShared's `DataPoint` classes work out for the same series: change it, and a database
starts new series and charts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.util.lean_imports import sha256

if TYPE_CHECKING:
    from pattoo_mp.model import Origin, Pair

#: Metadata that may change without making another series of it.
UNCOUNTED = frozenset({"release", "version"})


def series_checksum(key: str, data_type: int, metadata: tuple[Pair, ...], origin: Origin) -> str:
    """Chain SHA-256 over the key and all that counts, in order: 64 hex digits.

    `metadata` has normalised keys, each once (`normalise` gives them so).
    """
    checksum = _digest(f"{key}{data_type}")
    counted = [pair for pair in metadata if pair[0] not in UNCOUNTED]
    for name, value in [*counted, *origin_pairs(origin)]:
        checksum = _digest(f"{checksum}{name}{value}")
    return checksum


def origin_pairs(origin: Origin) -> tuple[Pair, ...]:
    """The four pairs that say whose datapoint it is, in the order of the checksum."""
    return (
        ("pattoo_agent_hostname", origin.hostname),
        ("pattoo_agent_id", origin.agent_id),
        ("pattoo_agent_polled_target", origin.hostname),
        ("pattoo_agent_program", origin.program),
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
