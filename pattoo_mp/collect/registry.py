"""The metric families: imports those that are on, and makes the sources of a poll.

`pattoo_mp/config/families.py` has the names of all families, and their order. A family that is off
is not imported, so it takes no memory.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from pattoo_mp.collect.context import Plan
from pattoo_mp.collect.devices import EachDevice
from pattoo_mp.collect.families import processor
from pattoo_mp.collect.source import Limited, Mounted
from pattoo_mp.config.families import EVERY
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.collect.commands.latest import Latest
    from pattoo_mp.collect.filters import Filters
    from pattoo_mp.collect.source import Source
    from pattoo_mp.collect.table import Table

#: The longest and the shortest time that a poll waits for sources that hang. If it were shorter, a
#: busy host that keeps a thread from running would look like one that hangs.
LIMIT_S: Final = 1.0
_LEAST_LIMIT_S: Final = 0.02
#: Sources of which each device has the time limit by itself.
_IN_PARTS: Final = (EachDevice, Mounted)


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


def sources(limit_s: float, filters: Filters, latest: Latest | None = None) -> tuple[Source, ...]:
    """Return the sources of the families that are wanted, each with a time limit of its own."""
    return sources_of(Plan(filters, limit_s, latest=latest))


def latest_of(
    filters: Filters,
    user: tuple[int, tuple[int, ...]] | None = None,
    former: Latest | None = None,
) -> Latest | None:
    """Have the commands of the family `commands` run, if it is on and there are any. The rest is as in `Latest`."""
    if not filters.commands or "commands" not in filters.families:
        return None
    from pattoo_mp.collect.commands.latest import Latest  # noqa: PLC0415 - only where it is used

    return Latest(filters.commands, user, former)


def sources_of(plan: Plan) -> tuple[Source, ...]:
    """Return the sources of the families of a plan, in their order."""
    names = plan.filters.families
    return tuple(_guarded(source, plan) for name in names for source in family(name).sources(plan))


def _guarded(source: Source, plan: Plan) -> Source:
    """Return the source with the time limit: any file of the kernel may hang, not only a mount."""
    return source if isinstance(source, _IN_PARTS) else Limited(source, plan.deadline())


def tables(names: Iterable[str] = EVERY) -> tuple[Table, ...]:
    """Return the tables of these families, in the order of their sources."""
    return tuple(table for name in names for table in family(name).TABLES)


def prime() -> None:
    """Make a first query of those figures that are differences, so that the first poll has them."""
    limited: TimeLimited[str, None] = TimeLimited("priming", lambda _: processor.prime(), LIMIT_S)
    with suppress(NoAnswerError):  # the first poll will report it
        limited.ask_one("processor")
