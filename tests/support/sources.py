"""The sources of some families alone, and those that are polled by default."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.collect import registry
from pattoo_mp.collect.context import Plan
from pattoo_mp.doctor.polls import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.collect.source import Source

_AT_LEISURE_S: Final = 20.0


def sources_of(*names: str, limit_s: float = _AT_LEISURE_S, **filters: Any) -> Sequence[Source]:  # noqa: ANN401 - whatever a field holds
    """Those of these families, each with all the time it may need; the rest as it is by default."""
    plan = Plan(replace(DEFAULT, families=names, **filters), limit_s)
    return tuple(source for name in names for source in registry.family(name).sources(plan))


#: What is polled where nothing is configured.
BY_DEFAULT: Final = registry.sources(registry.LIMIT_S, DEFAULT)
