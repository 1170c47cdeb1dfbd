"""Link changes: how often each interface lost or got its carrier, from `/sys/class/net`.

See Documentation/ABI/testing/sysfs-class-net in the kernel. A bad cable or port shows here first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.families._sysfs import attribute, names_in
from pattoo_mp.collect.host import OWN
from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.host import HostPaths
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_CHANGES: Final = Table(
    "link_changes", "Link changes", "link_changes_", COUNTER64,
    (
        Metric("carrier", COUNTER64, "changes", "Carrier Changes",
               "Times that the interface lost or got its carrier since it was made."),
    ),
    (Label("link_changes_interface", "Network Interface (Carrier)",
           "The interface, such as `eth0`.", prometheus="device"),),
    exported={
        "carrier": Exported("node_network_carrier_changes_total"),
    },
)
# fmt: on

TABLES: Final = (_CHANGES,)


def _read(paths: HostPaths) -> dict[str, dict[str, Value] | Exception]:
    """Raises `NotImplementedError` or `OSError` if the host's `/sys` cannot be read."""
    if paths.are_elsewhere and paths.sysfs == OWN.sysfs:
        raise NotImplementedError("sysfs_path is not set, and /sys shows the agent's own network")
    directory = f"{host.SYS}/class/net"
    rows = {name: _row(f"{directory}/{name}") for name in sorted(names_in(directory))}
    return {name: row for name, row in rows.items() if row is not None}


def _row(link: str) -> dict[str, Value] | Exception | None:
    """Return None for what is no interface, such as the file `bonding_masters`, or has gone."""
    try:
        return {"carrier": host.count(attribute(f"{link}/carrier_changes"))}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return error


def sources(plan: Plan) -> tuple[Source, ...]:
    """The interfaces that the filters accept."""
    accepts = plan.filters.interfaces.accepts
    read = partial(_read, plan.filters.paths)
    return (Rows(_CHANGES, read, "the kernel reports no changes of carriers", accepts),)
