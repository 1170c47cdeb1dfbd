"""Bonding: the health of each bonded interface, from `/proc/net/bonding`.

See Documentation/networking/bonding.rst in the kernel.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_BONDING: Final = Table(
    "bonding", "Bonding", "bonding_", INTEGER,
    (
        Metric("up", INTEGER, "yes or no", "Bond Up",
               "1 if the bonded interface has a link, 0 if not."),
        Metric("members", INTEGER, "interfaces", "Bond Members",
               "Interfaces that belong to it."),
        Metric("members_up", INTEGER, "interfaces", "Bond Members Up",
               "Those of them that have a link: fewer than `members` is a degraded bond."),
        Metric("link_failures", INTEGER, "failures", "Bond Link Failures",
               "How often its present members lost their links. It falls when a member is removed."),
    ),
    (Label("bonding_interface", "Bonded Interface", "The interface, such as `bond0`.", prometheus="master"),),
    exported={
        "members": Exported("node_bonding_slaves"),
        "members_up": Exported("node_bonding_active"),
    },
)
# fmt: on

TABLES: Final = (_BONDING,)

_MEMBER: Final = re.compile(r"^Slave Interface: ", re.MULTILINE)
_STATUS: Final = re.compile(r"^MII Status: (\w+)", re.MULTILINE)
_FAILURES: Final = re.compile(r"^Link Failure Count: ([0-9]{1,10})$", re.MULTILINE)


def parse(lines: str) -> dict[str, Value]:
    r"""Return the figures of one bonded interface. Raises `ValueError`.

    >>> one = "Slave Interface: eth0\nMII Status: up\nLink Failure Count: 2\n"
    >>> parse(f"MII Status: up\n\n{one}")
    {'up': 1, 'members': 1, 'members_up': 1, 'link_failures': 2}
    """
    own, *members = _MEMBER.split(lines)
    return {
        "up": int(_is_up(own)),
        "members": len(members),
        "members_up": sum(_is_up(member) for member in members),
        "link_failures": sum(int(_found(_FAILURES, member)) for member in members),
    }


def _is_up(lines: str) -> bool:
    return _found(_STATUS, lines) == "up"


def _found(pattern: re.Pattern[str], lines: str) -> str:
    found = pattern.search(lines)
    if found is None:
        raise ValueError(f"its file in /proc/net/bonding has no line like {pattern.pattern!r}")
    return found[1]


def _read() -> dict[str, dict[str, Value] | Exception]:
    try:
        names = sorted(os.listdir(f"{psutil.PROCFS_PATH}/{host.NET}/bonding"))  # noqa: PTH208 - names alone
    except FileNotFoundError:
        return {}
    return {name: _one(name) for name in names}


def _one(name: str) -> dict[str, Value] | Exception:
    try:
        return parse(host.net(f"bonding/{name}"))
    except (OSError, ValueError) as error:
        return error


def sources(plan: Plan) -> tuple[Source, ...]:
    """The bonded interfaces that the filters accept."""
    accepts = plan.filters.interfaces.accepts
    return (Rows(_BONDING, _read, "the host has no bonded interface", accepts),)
