"""A source whose devices are queried one by one, so that a bad one takes no good one along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.collect.source import Rows, Sample, reason, sample_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Row, Shape
    from pattoo_mp.collect.table import Table
    from pattoo_mp.model import Pair, Series


class EachDevice:
    """A source that queries each device by itself, with a time limit for all of them together.

    `devices` lists them. `ask` returns the rows of one device by name: one for each sensor of a
    chip; none if the device is of another kind. A device that hangs or raises is left out, and the
    others are not. `none` is the error message for a host without any row.
    """

    def __init__(
        self,
        table: Table,
        devices: Callable[[], Iterable[str]],
        ask: Callable[[str], Mapping[str, Row]],
        none: str,
        plan: Plan,
    ) -> None:
        self._rows = Rows(table, dict, none)
        self._ask = plan.deadline().add(table.name, devices, ask)

    @property
    def name(self) -> str:
        """The name of the table."""
        return self._rows.name

    def read(self) -> Sample:
        """Query all devices. Raises `NotImplementedError` if there is no row, wanted or not."""
        rows: dict[str, Row] = {}
        left_out: dict[str, str] = {}
        for device, answer in self._ask().items():
            if isinstance(answer, Exception):
                left_out[f"{self.name} {device}"] = reason(answer)
                continue
            for name, row in answer.items():
                rows[name] = _same_name() if row is not None and name in rows else row
        if not rows and not left_out:
            raise NotImplementedError(self._rows.none)
        sample = sample_of(self.name, rows)
        return Sample(sample.shape, sample.values, {**left_out, **sample.left_out})

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return one series for each figure of each row."""
        return self._rows.series(shape, host)


def _same_name() -> Exception:
    """Return why neither of two is sent: which is which may change from poll to poll."""
    return ValueError("two devices have this name, and nothing tells them apart")
