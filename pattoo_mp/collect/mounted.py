"""A source that asks each mounted file system the same question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.collect.source import Sample, Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.collect.plan import Plan
    from pattoo_mp.collect.source import Record
    from pattoo_mp.collect.table import Table
    from pattoo_mp.model import Pair, Series, Value

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
        self._wanted = plan.wanted
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
        self._mounts = {_place(mount): mount for mount in self._lister() if self._wants(mount)}
        return self._mounts

    def _wants(self, mount: Any) -> bool:  # noqa: ANN401 - psutil's private tuple type
        return self._wanted.mounts.wants(mount.mountpoint) and self._wanted.filesystems.wants(
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
