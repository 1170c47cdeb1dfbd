"""What a metric family is made of: sources, each one question to psutil and what it gives.

A source's answer has a shape (which fields, which disks) and values. The shape is compared with
that of the poll before; only when it differs are series made of it. So a poll costs little more
than its psutil calls, and a disk that comes or goes makes a new layout by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from pattoo_mp.timelimit.deadline import single_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.collect.context import Plan, SharedDeadline
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
    accepts: Callable[[str], bool] = bool

    @property
    def name(self) -> str:
        """The table's."""
        return self.table.name

    def read(self) -> Sample:
        """Ask for all wanted devices."""
        devices = {name: record for name, record in self.ask().items() if self.accepts(name)}
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


# A source that answers for several devices, with figures of its own for each.


@dataclass(frozen=True, slots=True)
class Rows:
    """`ask` gives the figures of each device by name; one may have fewer of them than another.

    A series carries the name of its device under the table's one label. A host that has no such
    device at all is told of in the words of `none`.
    """

    table: Table
    ask: Callable[[], Mapping[str, Mapping[str, Value]]]
    none: str
    accepts: Callable[[str], bool] = bool

    @property
    def name(self) -> str:
        """The table's."""
        return self.table.name

    def read(self) -> Sample:
        """Ask for all wanted devices. Raises `NotImplementedError` if there is none, wanted or not."""
        answer = self.ask()
        if not answer:
            raise NotImplementedError(self.none)
        rows = {name: figures for name, figures in answer.items() if self.accepts(name)}
        values = [value for figures in rows.values() for value in figures.values()]
        return Sample(tuple((name, *figures) for name, figures in rows.items()), values)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each figure of each device."""
        (label,) = self.table.labels
        return [
            self.table.series(figure, (*host, (label.key, device)))
            for device, *figures in shape
            for figure in figures
        ]


# A source that may hang.


class Limited:
    """The source that it is given, but waited for no longer than a limit: it is all or nothing."""

    def __init__(self, source: Source, together: SharedDeadline) -> None:
        self._source = source
        self._together = together
        self._ask = together.part(source.name, lambda: ("now",), lambda _: source.read())

    @property
    def name(self) -> str:
        """That of the source."""
        return self._source.name

    def wait_at_most(self, limit_s: float) -> None:
        """Change the limit."""
        self._together.limit_s = limit_s

    def read(self) -> Sample:
        """Ask. Raises what the source raises, or `NoAnswerError`."""
        sample: Sample = single_answer(self._ask())
        return sample

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Those of the source, which asks nobody for them."""
        return self._source.series(shape, host)


# A source that asks each mounted file system the same question.

#: psutil's fields of a mount, as the labels of a table follow each other.
_DESCRIPTION: Final = ("device", "mountpoint", "fstype", "opts")


class Mounted:
    """Asks for the mounts at each poll: they come and go, also between list and question.

    `question` is given a mount point, and answers None where the file system has no such figures.
    A mount whose device or server is dead may hang, and is waited for no longer than a limit; a
    local disk may die as well as a server.
    """

    def __init__(self, table: Table, question: Callable[[str], Record | None], plan: Plan) -> None:
        self._table = table
        self._filters = plan.filters
        self._lister = plan.mounts
        self._together = plan.together()
        self._mounts: dict[tuple[str, str], Any] = {}
        self._ask = self._together.part(
            table.name, self._places, lambda mount: question(plan.place(*mount))
        )

    @property
    def name(self) -> str:
        """The table's."""
        return self._table.name

    def wait_at_most(self, limit_s: float) -> None:
        """Change the limit."""
        self._together.limit_s = limit_s

    def read(self) -> Sample:
        """Ask each mount that is wanted; one that does not answer is left out."""
        shape: list[Any] = []
        values: list[Value] = []
        left_out: dict[str, str] = {}
        for place, answer in self._ask().items():
            if isinstance(answer, Exception):
                left_out[f"{self.name} {self._mounts[place].mountpoint}"] = str(answer)
            elif answer is not None:
                shape.append((self._mounts[place], answer._fields))
                values += answer
        return Sample(tuple(shape), values, left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each figure of each mount."""
        return [
            self._table.series(name, (*self._description(mount), *host))
            for mount, fields in shape
            for name in fields
        ]

    def _places(self) -> dict[tuple[str, str], Any]:
        self._mounts = {_place(mount): mount for mount in self._lister() if self._accepts(mount)}
        return self._mounts

    def _accepts(self, mount: Any) -> bool:  # noqa: ANN401 - psutil's private tuple type
        return self._filters.mounts.accepts(mount.mountpoint) and self._filters.filesystems.accepts(
            mount.fstype
        )

    def _description(self, mount: Any) -> tuple[Pair, ...]:  # noqa: ANN401 - as above
        return tuple(
            (label.key, getattr(mount, field))
            for label, field in zip(self._table.labels, _DESCRIPTION, strict=False)
        )


def _place(mount: Any) -> tuple[str, str]:  # noqa: ANN401 - as above
    """What tells a mount from others, also when it is mounted anew with other options."""
    return mount.device, mount.mountpoint
