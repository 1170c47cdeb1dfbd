"""Mount states: whether each mounted file system is read-only.

The kernel makes a file system read-only when its disk fails. The list of mounts says so: no file
system is queried for it, so one that hangs has a state as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.source import Sample
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Shape, Source
    from pattoo_mp.model import Pair, Series

# fmt: off
_STATES: Final = Table(
    "mount_state", "Mount state", "mount_state_", INTEGER,
    (
        Metric("read_only", INTEGER, "yes or no", "Read-only",
               "1 if nothing can be written there, 0 if it can."),
    ),
    (
        Label("mount_state_device", "Device (Mount State)", "The device, such as `/dev/sda1`.", prometheus="device"),
        Label("mount_state_mountpoint", "Mount Point (Mount State)",
              "The directory where it is mounted.", prometheus="mountpoint"),
        Label("mount_state_fstype", "Filesystem Type (Mount State)",
              "The type of the file system, such as `ext4`.", prometheus="fstype"),
    ),
    exported={
        "read_only": Exported("node_filesystem_readonly"),
    },
)
# fmt: on

TABLES: Final = (_STATES,)


class MountStates:
    """A source of the state of each mount that the filters accept."""

    def __init__(self, plan: Plan) -> None:
        self._list_mounts = plan.list_mounts
        self._filters = plan.filters

    @property
    def name(self) -> str:
        """The name of the table."""
        return _STATES.name

    def read(self) -> Sample:
        """List the mounts. Of several mounts of one device at one place the last is on top."""
        states = {
            (mount.device, mount.mountpoint, mount.fstype): int("ro" in mount.opts.split(","))
            for mount in self._list_mounts()
            if self._filters.accepts_mount(mount.mountpoint, mount.fstype)
        }
        return Sample(tuple(states), tuple(states.values()))

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return one series for each mount."""
        keys = [label.key for label in _STATES.labels]
        return [
            _STATES.series("read_only", (*zip(keys, names, strict=True), *host)) for names in shape
        ]


def sources(plan: Plan) -> tuple[Source, ...]:
    """The state of each mount that the filters accept."""
    return (MountStates(plan),)
