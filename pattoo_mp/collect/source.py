"""Sources, the parts of a metric family. Each makes one query, usually of psutil.

A source's answer has a shape (which fields, which disks) and values. Each poll compares the shape
with that of the previous poll, and makes series only when it differs. So a poll costs little more
than its psutil calls, and a disk that comes or goes results in a new layout.

Kinds of sources: `Fields` (single figures), `Devices` (the same fields for each device), `Rows`
(each device with its own fields), `Limited` (any source, with a time limit) and `Mounted` (a query
of each mounted file system).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.collect.context import Plan, SharedDeadline
    from pattoo_mp.collect.table import Table
    from pattoo_mp.model import Pair, Series, Value


#: The figures of one device by name, or what was raised instead of all or one of them. None if the
#: device is not wanted.
Row: TypeAlias = "Mapping[str, Value | Exception] | Exception | None"

#: Compared, and passed back to the source that made it. Only that source interprets it. It has an
#: element for each device (or figure), and the series of a part of it are those of these elements:
#: on a host with thousands of devices, only the parts that change are made anew.
Shape = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of a source: `values` in the order of the series that are made of `shape`.

    `left_out` names parts that the host did not give, each with the reason.
    """

    shape: Shape
    values: Sequence[Value]
    left_out: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """One query that each poll makes."""

    @property
    def name(self) -> str:
        """The name in the log and the status."""

    def read(self) -> Sample:
        """Query now. Raises whatever psutil raises."""

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return the series of a shape. `host` is the metadata that all of them carry."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A source of single figures: `ask` gives a value for each field of `table`.

    For a field that has no value it may give an exception, whose message is the reason.
    """

    table: Table
    ask: Callable[[], Mapping[str, Value | Exception]]

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.table.name

    def read(self) -> Sample:
        """Ask for all fields. Raises `NotImplementedError` if the answer is empty."""
        given, left_out = divided(self.name, self.ask())
        if not given and not left_out:
            raise NotImplementedError("the kernel's file has none of these figures")
        return Sample(tuple(given), tuple(given.values()), left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return one series for each field."""
        return [self.table.series(name, host) for name in shape]


class Record(Protocol):
    """An answer of psutil: a named tuple."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def __iter__(self) -> Any: ...  # noqa: ANN401 - psutil's tuples are typed one by one


G = TypeVar("G")


def divided(
    source: str, answer: Mapping[str, G | Exception]
) -> tuple[dict[str, G], dict[str, str]]:
    """Return what an answer gives, and the notes about what it gives an exception for.

    >>> divided("memory", {"free": 7, "cached": ValueError("not a number")})
    ({'free': 7}, {'memory cached': 'not a number'})
    """
    given = {name: part for name, part in answer.items() if not isinstance(part, Exception)}
    if len(given) == len(answer):
        return given, {}
    failed = {name: part for name, part in answer.items() if isinstance(part, Exception)}
    return given, {f"{source} {name}": reason(error) for name, error in failed.items()}


def reason(error: object) -> str:
    """The words of an error, or its type if it has none."""
    return str(error) or type(error).__name__


@dataclass(frozen=True, slots=True)
class Devices:
    """A source with the same fields of `table` for each of several devices.

    A series carries the name of its device under the table's one label. For a device that cannot be
    read, `ask` may give an exception. `none` is the note for a host that has no such device at all;
    without it, such a host is not noted.
    """

    table: Table
    ask: Callable[[], Mapping[str, Record | Exception]]
    accepts: Callable[[str], bool] = bool
    none: str = ""

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.table.name

    def read(self) -> Sample:
        """Ask for all wanted devices. Raises `NotImplementedError` with the note `none`."""
        answer = self.ask()
        if not answer and self.none:
            raise NotImplementedError(self.none)
        wanted = {name: record for name, record in answer.items() if self.accepts(name)}
        devices, left_out = divided(self.name, wanted)
        fields = next(iter(devices.values()))._fields if devices else ()
        values = [value for record in devices.values() for value in record]
        return Sample(tuple((name, fields) for name in devices), values, left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return one series for each field of each device."""
        (label,) = self.table.labels
        return [
            self.table.series(name, (*host, (label.key, device)))
            for device, fields in shape
            for name in fields
        ]


@dataclass(frozen=True, slots=True)
class Rows:
    """A source of several devices, of which some may have fewer figures than others.

    `ask` returns the figures of each device by name. A series carries the name of its device under
    the table's only label; a device with an empty name carries none. `none` is the error message
    for a host without any such device.
    """

    table: Table
    ask: Callable[[], Mapping[str, Row]]
    none: str
    accepts: Callable[[str], bool] = bool

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.table.name

    def read(self) -> Sample:
        """Query all wanted devices.

        Raises `NotImplementedError` if there is no device at all.
        """
        answer = self.ask()
        if not answer:
            raise NotImplementedError(self.none)
        rows = {name: figures for name, figures in answer.items() if self.accepts(name)}
        return sample_of(self.name, rows)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return one series for each figure of each device."""
        (label,) = self.table.labels
        return [
            self.table.series(figure, (*host, (label.key, device)) if device else host)
            for device, *figures in shape
            for figure in figures
        ]


def sample_of(source: str, rows: Mapping[str, Row]) -> Sample:
    """The sample of what `source` found. A device or a figure that is an error is left out."""
    wanted = {device: row for device, row in rows.items() if row is not None}
    devices, left_out = divided(source, wanted)
    shape: list[tuple[str, ...]] = []
    values: list[Value] = []
    for device, row in devices.items():
        figures, missing = divided(f"{source} {device}", row)
        left_out |= missing
        shape.append((device, *figures))
        values += figures.values()
    return Sample(tuple(shape), values, left_out)


# Sources under the time limit of a poll.


class Limited:
    """Any other source, with the time limit. It gives all of its answer in time, or nothing."""

    def __init__(self, source: Source, deadline: SharedDeadline) -> None:
        self._source = source
        self._ask = deadline.add_one(source.name, source.read)

    @property
    def name(self) -> str:
        """The name of the source."""
        return self._source.name

    def read(self) -> Sample:
        """Query. Raises what the source raises, or `NoAnswerError`."""
        sample: Sample = self._ask()
        return sample

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return the series of the source, which makes no query for them."""
        return self._source.series(shape, host)


#: psutil's fields of a mount, in the order of a table's labels.
_DESCRIPTION: Final = ("device", "mountpoint", "fstype", "opts")


class Mounted:
    """A source that makes the same query of each mounted file system.

    It lists the mounts in each poll: they come and go, even between the list and the query. `query`
    takes a path, and returns None if the file system has no such figures. It has a time limit,
    since a mount hangs when its device or its server is dead: a local disk can die as well as a
    server.
    """

    def __init__(self, table: Table, query: Callable[[str], Record | None], plan: Plan) -> None:
        self._table = table
        self._filters = plan.filters
        self._list_mounts = plan.list_mounts
        self._mounts: dict[tuple[str, str], Any] = {}
        self._query = query
        self._path_of = plan.path_of
        self._ask = plan.deadline().add(table.name, self._keys, self._usage)

    @property
    def name(self) -> str:
        """The name of the table."""
        return self._table.name

    def read(self) -> Sample:
        """Query each wanted mount. One that does not answer is left out."""
        shape: list[Any] = []
        values: list[Value] = []
        left_out: dict[str, str] = {}
        for (_, mountpoint), answer in self._ask().items():
            if isinstance(answer, Exception):
                left_out[f"{self.name} {mountpoint}"] = str(answer)
                continue
            mount, usage = answer
            if usage is not None:
                shape.append((mount, usage._fields))
                values += usage
        return Sample(tuple(shape), values, left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return one series for each figure of each mount."""
        return [
            self._table.series(name, (*self._description(mount), *host))
            for mount, fields in shape
            for name in fields
        ]

    def _usage(self, key: tuple[str, str]) -> tuple[Any, Record | None]:
        """Query one mount. Return it as it is in the list, and its figures."""
        mount = self._mounts.get(key)
        if mount is None:  # a list that came late replaced the one that this key is from
            raise FileNotFoundError(f"{key[1]} was unmounted meanwhile")
        return mount, self._query(self._path_of(*key))

    def _keys(self) -> dict[tuple[str, str], Any]:
        self._mounts = {_key(mount): mount for mount in self._list_mounts() if self._accepts(mount)}
        return self._mounts

    def _accepts(self, mount: Any) -> bool:  # noqa: ANN401 - psutil's private tuple type
        return self._filters.accepts_mount(mount.mountpoint, mount.fstype)

    def _description(self, mount: Any) -> tuple[Pair, ...]:  # noqa: ANN401 - as above
        return tuple(
            (label.key, getattr(mount, field))
            for label, field in zip(self._table.labels, _DESCRIPTION, strict=False)
        )


def _key(mount: Any) -> tuple[str, str]:  # noqa: ANN401 - as above
    """Return what identifies a mount, even after a remount with other options."""
    return mount.device, mount.mountpoint
