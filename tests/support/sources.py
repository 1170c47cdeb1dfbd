"""The sources of chosen families, and those that are polled by default."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.collect import registry
from pattoo_mp.collect.context import Plan
from pattoo_mp.doctor.polls import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.collect.source import Source

_NO_HURRY_S: Final = 20.0


def sources_of(*names: str, limit_s: float = _NO_HURRY_S, **filters: Any) -> Sequence[Source]:  # noqa: ANN401 - whatever a field holds
    """Return the sources of these families, with a generous time limit; `filters` changes the defaults."""
    wanted = replace(DEFAULT, families=names, **filters)
    return registry.sources_of(Plan(wanted, limit_s, latest=registry.latest_of(wanted)))


#: The sources that are polled without a configuration.
BY_DEFAULT: Final = registry.sources(registry.LIMIT_S, DEFAULT)
