"""Limits for the spools that tests open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.spool.account import OutputState, SpoolState
from pattoo_mp.spool.limits import Limits
from pattoo_mp.spool.store import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: Limits that a test reaches only if it wants to: those of a configuration that sets none.
AMPLE: Final = Limits(max_bytes=1_000_000_000, max_age_s=30 * 86_400, min_free_bytes=64_000_000)


def limits_with(**changed: int) -> Limits:
    """Ample limits, some of them changed."""
    return replace(AMPLE, **changed)


#: The one output of the spools that tests open, unless they name others.
OUTPUT: Final = "pattoo"


def open_spool(
    path: Path,
    limits: Limits = AMPLE,
    known: SpoolState | None = None,
    progress: Callable[[], None] = lambda: None,
    outputs: Sequence[str] = (OUTPUT,),
) -> Spool:
    """Open a spool for one output, or for several."""
    return Spool(path, limits, outputs=outputs, heir=outputs[0], known=known, progress=progress)


def account_of(**values: Any) -> SpoolState:  # noqa: ANN401 - as the accounts have them
    """Return the account of a spool with one output, from the fields of both."""
    shared = {name: values[name] for name in values.keys() & SpoolState.__slots__}
    own = {name: values[name] for name in values.keys() & OutputState.__slots__}
    return SpoolState(**shared, outputs={OUTPUT: OutputState(**own)})
