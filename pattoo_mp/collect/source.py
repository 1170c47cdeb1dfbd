"""What a metric family is made of: sources, each one question to psutil and what it gives.

A source's answer has a shape (which fields, which disks) and values. The shape is compared with
that of the poll before; only when it differs are series made of it. So a poll costs little more
than its psutil calls, and a disk that comes or goes makes a new layout by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.collect.table import Table
    from pattoo_mp.model import Pair, Series, Value

#: Compared, and given back to the source that made it; nobody else looks inside.
Shape = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of a source: `values` belong, in order, to the series made of `shape`.

    `left_out` names parts that the host did not give, and why.
    """

    shape: Shape
    values: Sequence[Value]
    left_out: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """One question that each poll asks."""

    @property
    def name(self) -> str:
        """For the log and the status."""

    def read(self) -> Sample:
        """Ask now. Raises whatever psutil raises."""

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """The series of a shape; `host` is the metadata that all of them carry."""


@runtime_checkable
class MayHang(Protocol):
    """A source that is waited for no longer than a time limit."""

    def wait_at_most(self, limit_s: float) -> None:
        """Change the limit, from the next question on."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A source of single figures: `ask` gives a value for each field of `table`."""

    table: Table
    ask: Callable[[], Mapping[str, Value]]

    @property
    def name(self) -> str:
        """The table's."""
        return self.table.name

    def read(self) -> Sample:
        """Ask for all fields."""
        answer = self.ask()
        return Sample(tuple(answer), tuple(answer.values()))

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each field."""
        return [self.table.series(name, host) for name in shape]


class Record(Protocol):
    """What psutil answers with: a named tuple."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def __iter__(self) -> Any: ...  # noqa: ANN401 - psutil's tuples are typed one by one


@dataclass(frozen=True, slots=True)
class Devices:
    """A source that answers for several devices with the same fields of `table` each.

    A series carries the name of its device under the table's one label.
    """

    table: Table
    ask: Callable[[], Mapping[str, Record]]
    wanted: Callable[[str], bool] = bool

    @property
    def name(self) -> str:
        """The table's."""
        return self.table.name

    def read(self) -> Sample:
        """Ask for all wanted devices."""
        devices = {name: record for name, record in self.ask().items() if self.wanted(name)}
        fields = next(iter(devices.values()))._fields if devices else ()
        values = [value for record in devices.values() for value in record]
        return Sample((fields, *devices), values)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each field of each device."""
        fields, *devices = shape
        (label,) = self.table.labels
        return [
            self.table.series(name, (*host, (label.key, device)))
            for device in devices
            for name in fields
        ]
