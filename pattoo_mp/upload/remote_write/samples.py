"""Polls as remote write messages. The labels of layouts are cached.

Polls of different intervals have different series, and each has layouts of its own, which follow one
another as the host changes. So the polls of a batch are divided into runs of one layout; each run is a
block of samples at the same times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.model import Layout
from pattoo_mp.upload.remote_write.message import Block, labels_of, metadata, request
from pattoo_mp.upload.remote_write.naming import distinct
from pattoo_mp.util.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from pattoo_mp.model import Origin, Poll
    from pattoo_mp.upload.remote_write.naming import Metric, Named, Naming

    #: Polls of one origin and interval follow one another.
    Group = tuple[Origin, int]

#: Layouts and parts whose names are kept. One has a few hundred bytes a series.
_LAYOUTS: Final = 4
_SPARE_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Rows:
    """The names of a layout's series, in its order, and of its info series."""

    labels: tuple[bytes | None, ...]
    scales: tuple[float, ...]
    info: tuple[bytes, ...]
    metrics: Mapping[str, Metric]

    @property
    def present(self) -> frozenset[bytes]:
        """The labels of all series that are sent, without the info series."""
        return frozenset(labels for labels in self.labels if labels is not None)


class Encoder:
    """Makes messages of polls."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._rows: Recent[str, Rows] = Recent(_LAYOUTS)
        self._parts: dict[str, Named] = {}
        #: The last layout that a receiver was sent, by group. Those of spokes, of which a hub has
        #: thousands, are packed.
        self._sent: dict[Group, Layout | bytes] = {}

    def rows(self, layout: Layout) -> Rows:
        """Return the names of a layout's series."""
        return self._rows.get(layout.identifier, lambda: self._named(layout))

    def blocks(self, batch: Batch, *, info_after_ms: int = 0) -> list[Block]:
        """Return the samples of a batch, those of the info series first.

        Those at `info_after_ms` and before are left out. Raises `WireError` for a poll that does not
        fit its layout.
        """
        times: dict[bytes, dict[int, None]] = {}
        for poll in batch.polls:
            if poll.timestamp_ms > info_after_ms:
                for labels in self.rows(batch.layouts[poll.layout_id]).info:
                    times.setdefault(labels, {})[poll.timestamp_ms] = None
        info = [Block(tuple(t), [(labels, (1,) * len(t))]) for labels, t in times.items()]
        return info + list(self._blocks(batch))

    def note_sent(self, batch: Batch) -> None:
        """Note that a receiver has a batch: a series that the next one lacks has ended."""
        for poll in batch.polls:
            layout = batch.layouts[poll.layout_id]
            self._sent[_group(layout)] = _kept(layout)

    def metadata(self, batch: Batch) -> bytes:
        """Return the metadata of a batch's metrics as a part of a message."""
        metrics: dict[str, Metric] = {}
        for layout in batch.layouts.values():
            metrics |= self.rows(layout).metrics
        return b"".join(metadata(m.kind, name, m.help, m.unit) for name, m in metrics.items())

    def _blocks(self, batch: Batch) -> Iterator[Block]:
        current = dict(self._sent)
        for layout, polls in batch.runs():
            rows = self.rows(layout)
            ended = self._ended(layout, current)
            current[_group(layout)] = _kept(layout)
            yield Block(tuple(p.timestamp_ms for p in polls), _columns(rows, polls), ended)

    def _ended(self, layout: Layout, current: Mapping[Group, Layout | bytes]) -> Collection[bytes]:
        """Return the series that the layout before this one had, and that no layout has now."""
        group = _group(layout)
        before = current.get(group)
        if before is None or before == _kept(layout):
            return ()
        gone = set(self.rows(_layout(before)).present - self.rows(layout).present)
        for other, elsewhere in current.items():
            # The series of another host have other labels.
            if other != group and other[0] == group[0] and gone:
                gone -= self.rows(_layout(elsewhere)).present
        return sorted(gone)

    def _named(self, layout: Layout) -> Rows:
        labels: list[bytes | None] = []
        scales: list[float] = []
        metrics: dict[str, Metric] = {}
        info = tuple(labels_of(labels) for labels in self._naming.info(layout))
        seen: set[bytes] = set(info)
        for part in layout.undivided:
            named = self._part(part)
            scales += named.scales
            metrics |= named.metrics
            for series, of_series in zip(part.series, named.labels, strict=True):
                labels.append(None if of_series is None else distinct(of_series, series, seen))
        self._forget_parts(layout)
        return Rows(tuple(labels), tuple(scales), info, metrics)

    def _part(self, part: Layout) -> Named:
        if part.identifier not in self._parts:
            self._parts[part.identifier] = self._naming.named(part)
        return self._parts[part.identifier]

    def _forget_parts(self, layout: Layout) -> None:
        used = {part.identifier for part in layout.parts}
        spare = [identifier for identifier in self._parts if identifier not in used]
        for identifier in spare[: -_SPARE_PARTS or None] if layout.parts else spare:
            del self._parts[identifier]


@dataclass(frozen=True, slots=True)
class Batch:
    """Polls of one origin, oldest first, with their layouts by identifier."""

    polls: Sequence[Poll]
    layouts: Mapping[str, Layout]

    def part(self, first: int, last: int | None = None) -> Batch:
        """Return a batch of some of the polls."""
        return Batch(self.polls[first:last], self.layouts)

    def runs(self) -> Iterable[tuple[Layout, list[Poll]]]:
        """Return the polls of each layout that follow one another in their group."""
        runs: list[tuple[Layout, list[Poll]]] = []
        last: dict[Group, tuple[Layout, list[Poll]]] = {}
        for poll in self.polls:
            layout = self.layouts[poll.layout_id]
            run = last.get(_group(layout))
            if run is None or run[0] != layout:
                run = last[_group(layout)] = (layout, [])
                runs.append(run)
            run[1].append(poll)
        return runs


def some(blocks: Iterable[Block], keep: Collection[bytes], *, others: bool = False) -> list[Block]:
    """Return the samples of the series `keep` alone; with `others`, of all but those."""
    found = []
    for block in blocks:
        rows = [row for row in block.rows if (row[0] in keep) is not others]
        ended = [labels for labels in block.ended if (labels in keep) is not others]
        if rows or ended:
            found.append(Block(block.times_ms, rows, ended))
    return found


def only_sample(labels: bytes, time_ms: int, value: float) -> bytes:
    """Return the message with one sample of one series."""
    return request([Block((time_ms,), [(labels, (value,))])])


def _group(layout: Layout) -> Group:
    return layout.origin, layout.interval_ms


def _kept(layout: Layout) -> Layout | bytes:
    return layout.packed if layout.compressed else layout


def _layout(kept: Layout | bytes) -> Layout:
    return kept if isinstance(kept, Layout) else Layout.unpack(kept)


def _columns(rows: Rows, polls: Sequence[Poll]) -> list[tuple[bytes, Sequence[object]]]:
    """Return the labels of each series with its values in all polls."""
    width = len(rows.labels)
    table = [poll.values() for poll in polls]
    for values in table:
        if len(values) != width:
            raise WireError(f"a poll of {len(values)} values for a layout of {width} series")
    return [
        (labels, values if scale == 1 else _scaled(values, scale))
        for labels, scale, values in zip(
            rows.labels, rows.scales, zip(*table, strict=True), strict=True
        )
        if labels is not None
    ]


def _scaled(values: Sequence[object], scale: float) -> list[object]:
    return [v * scale if isinstance(v, (int, float)) else v for v in values]
