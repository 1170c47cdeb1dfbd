"""The metric families: imports those that are on, and makes the sources of a poll.

`pattoo_mp/config/families.py` has the names of all families, and their order. A family that is off
is not imported, so it takes no memory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from pattoo_mp.collect.context import Plan
from pattoo_mp.collect.families import processor
from pattoo_mp.collect.source import MayHang
from pattoo_mp.config.families import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pattoo_mp.collect.filters import Filters
    from pattoo_mp.collect.source import Source
    from pattoo_mp.collect.table import Table
    from pattoo_mp.timelimit.succession import Succession

#: The longest and the shortest time that a poll waits for sources that hang. If it were shorter, a
#: busy host that keeps a thread from running would look like one that hangs.
LIMIT_S: Final = 1.0
_LEAST_LIMIT_S: Final = 0.02
#: How many of the original's sources may hang and share the time limit: mounts and frequency.
_MAY_HANG: Final = 2


class Family(Protocol):
    """The interface of a family's module."""

    TABLES: tuple[Table, ...]

    def sources(self, plan: Plan) -> tuple[Source, ...]:
        """Return one source for each table, in the same order."""


def family(name: str) -> Family:
    """Import the module of a family."""
    return cast("Family", import_module(f"{__package__}.families.{name}"))


def time_limit_s(interval_s: float) -> float:
    """Return how long sources that hang may delay a poll: half an interval, to miss no tick."""
    return max(_LEAST_LIMIT_S, min(interval_s / 2, LIMIT_S))


def sources(
    limit_s: float,
    filters: Filters,
    *,
    shared: bool = False,
    ledger: Mapping[str, int] | None = None,
    succession: Succession | None = None,
) -> tuple[Source, ...]:
    """Return the sources of the families that are wanted. See `Plan` for the arguments.

    Those of the original's families delay a poll by no more than `limit_s` altogether if they hang.
    With `shared`, this holds for all families.
    """
    plan = Plan(filters, limit_s / _MAY_HANG, shared=shared, ledger=ledger, succession=succession)
    return tuple(source for name in filters.families for source in family(name).sources(plan))


def change_time_limit(limit_s: float, these: Iterable[Source]) -> None:
    """Change the time limit that all sources that may hang share to `limit_s`."""
    for source in these:
        if isinstance(source, MayHang):
            source.change_time_limit(limit_s / _MAY_HANG)


def tables(names: Iterable[str] = EVERY) -> tuple[Table, ...]:
    """Return the tables of these families, in the order of their sources."""
    return tuple(table for name in names for table in family(name).TABLES)


def prime() -> None:
    """Make a first query of those figures that are differences, so that the first poll has them."""
    processor.prime()
