"""What the configuration says of how large the spool may grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.spool.limits import Limits

if TYPE_CHECKING:
    from pattoo_mp.config.values import Config


def spool_limits(config: Config) -> Limits:
    """The limits of the spool."""
    return Limits(config.spool_max_bytes, config.spool_max_age, config.spool_min_free_bytes)
