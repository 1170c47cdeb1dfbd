"""Limits for the spools that tests open."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pattoo_mp.spool.limits import Limits

#: Limits that a test reaches only if it wants to: those of a configuration that sets none.
AMPLE: Final = Limits(max_bytes=1_000_000_000, max_age_s=30 * 86_400, min_free_bytes=64_000_000)


def limits_with(**changed: int) -> Limits:
    """Ample limits, some of them changed."""
    return replace(AMPLE, **changed)
