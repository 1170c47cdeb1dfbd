"""Users: who is logged in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.source import Fields, Limited
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.host import HostPaths
    from pattoo_mp.collect.source import Source

# fmt: off
_USERS: Final = Table(
    "users", "Users", "users_", INTEGER,
    (
        Metric("sessions", INTEGER, "sessions", "Sessions",
               "Terminals and desktops that somebody is logged in at."),
        Metric("logged_in", INTEGER, "users", "Users Logged In",
               "Users that are logged in, however often each."),
    ),
)
# fmt: on

TABLES: Final = (_USERS,)


def _ask(paths: HostPaths) -> dict[str, int]:
    if paths.are_elsewhere:
        raise NotImplementedError("psutil tells who is logged in to the agent's own root alone")
    names = [session.name for session in psutil.users()]
    return {"sessions": len(names), "logged_in": len(set(names))}


def sources(plan: Plan) -> tuple[Source, ...]:
    """Whom it asks depends on how the host is set up."""
    return (Limited(Fields(_USERS, partial(_ask, plan.filters.paths)), plan.together()),)
