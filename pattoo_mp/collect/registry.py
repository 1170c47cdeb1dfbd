"""The metric families: imports those that are on, and makes the sources of a poll of them.

The names of all of them, and their order, stand in `pattoo_mp/config/families.py`. A family that is off
is not imported: no host pays memory for what it does not poll.
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

#: What a poll waits for those that hang, at most and at least. Under less than the least, a busy
#: host that lets a thread wait its turn would look like one that hangs.
LIMIT_S: Final = 1.0
_LEAST_LIMIT_S: Final = 0.02
#: So many of the original's sources may hang, and share what a poll waits: mounts, and frequency.
_MAY_HANG: Final = 2


class Family(Protocol):
    """What a family's module offers."""

    TABLES: tuple[Table, ...]

    def sources(self, plan: Plan) -> tuple[Source, ...]:
        """One for each table, in the same order."""


def family(name: str) -> Family:
    """The module of a family, imported only now."""
    return cast("Family", import_module(f"{__package__}.families.{name}"))


def time_limit_s(interval_s: float) -> float:
    """How long a poll may be held up by who hangs: half an interval, so that no tick is missed."""
    return max(_LEAST_LIMIT_S, min(interval_s / 2, LIMIT_S))


def sources(
    limit_s: float,
    filters: Filters,
    *,
    frugal: bool = False,
    ledger: Mapping[str, int] | None = None,
    succession: Succession | None = None,
) -> tuple[Source, ...]:
    """Those of what is wanted; see `Plan` for what frugal ones are, and for the rest.

    Of the original's families those that may hang hold a poll up by no more than `limit_s` together,
    and of frugal sources all of them.
    """
    plan = Plan(filters, limit_s / _MAY_HANG, frugal=frugal, ledger=ledger, succession=succession)
    return tuple(source for name in filters.families for source in family(name).sources(plan))


def wait_at_most(limit_s: float, these: Iterable[Source]) -> None:
    """Let those of `these` that may hang hold a poll up by no more than `limit_s` together."""
    for source in these:
        if isinstance(source, MayHang):
            source.wait_at_most(limit_s / _MAY_HANG)


def tables(names: Iterable[str] = EVERY) -> tuple[Table, ...]:
    """What families of these names may give, in the order of their sources."""
    return tuple(table for name in names for table in family(name).TABLES)


def prime() -> None:
    """Ask once what compares with the question before, so that the first poll means something."""
    processor.prime()
