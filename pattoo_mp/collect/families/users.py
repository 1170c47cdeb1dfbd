"""Users: how many are logged in, in how many sessions."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.source import Fields
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
               "Login sessions on terminals and desktops."),
        Metric("logged_in", INTEGER, "users", "Users Logged In",
               "Users logged in, each counted once."),
    ),
)
# fmt: on

TABLES: Final = (_USERS,)


#: Where programs record who logs in: utmp(5). Some distributions no longer have it.
_UTMP: Final = Path("/var/run/utmp")


def _read(paths: HostPaths) -> dict[str, int]:
    if paths.are_elsewhere:
        raise NotImplementedError("psutil only sees logins below the agent's own root")
    _check_records()
    names = [session.name for session in psutil.users()]
    return {"sessions": len(names), "logged_in": len(set(names))}


def _check_records() -> None:
    """Raise an error if logins are not recorded: an empty list would then be a false "no user".

    psutil reads the file without releasing Python's lock. If it hangs, it does so here.
    """
    with _UTMP.open("rb") as file:
        if not file.read(1):
            raise NotImplementedError(f"{_UTMP} is empty: no program records logins there")


def sources(plan: Plan) -> tuple[Source, ...]:
    """The users and their sessions."""
    return (Fields(_USERS, partial(_read, plan.filters.paths)),)
