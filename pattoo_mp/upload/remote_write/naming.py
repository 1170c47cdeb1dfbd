"""The names and labels of series in remote write: `Naming`, and the one with pattoo's names.

A naming turns a layout, or a part of a divided one, into the labels of each series. What says what the
host is (release, version, processor) is not a label of every series: it is an info series of its own,
whose value is always 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from pattoo_mp.model import COUNTER64
from pattoo_mp.upload.remote_write.message import labels_of
from pattoo_mp.util.lean_imports import sha256
from pattoo_mp.wire.families import family_of
from pattoo_mp.wire.safe import safe_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pattoo_mp.config.values import Output
    from pattoo_mp.model import Layout, Pair, Series

NAME: Final = "__name__"
#: Types of metrics, as the protocol numbers them.
COUNTER: Final = 1
GAUGE: Final = 2
#: A counter of 32 bits, as the pattoo server numbers data types; 64 is `COUNTER64`.
COUNTERS: Final = frozenset({32, COUNTER64})
#: Metadata of every series of a host that says what the host is.
HOST: Final = frozenset({"release", "version", "processor", "type", "cpus", "hostname"})
HOST_INFO: Final = "pattoo_host_info"
#: A label by which series differ whose names and labels would otherwise be the same.
DISTINCT: Final = "pattoo_series"
_BAD: Final = re.compile("[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True)
class Metric:
    """What the metadata of a message says of a metric: its type, help and unit."""

    kind: int = GAUGE
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """The series of a layout or a part, in its order.

    `labels` has those of each series, by name; None for a series that is not sent. The values of a
    series are multiplied by its number in `scales`. `metrics` are by name.
    """

    labels: tuple[Mapping[str, str] | None, ...]
    scales: tuple[float, ...]
    metrics: Mapping[str, Metric] = field(default_factory=dict)


class Naming(Protocol):
    """Names series."""

    def named(self, part: Layout) -> Named:
        """Return the names of the series of an undivided layout or of a part."""

    def info(self, layout: Layout) -> tuple[Mapping[str, str], ...]:
        """Return the labels of the info series of a layout's host.

        The first is the one that says up to when a receiver has the host's polls, so it must not
        change often.
        """


class OnlyFamilies:
    """Names only the series of some families, as another naming does. The others are not sent."""

    def __init__(self, naming: Naming, families: Collection[str]) -> None:
        self._naming = naming
        self._families = frozenset(families)

    def named(self, part: Layout) -> Named:
        """Return the names of the series of an undivided layout or of a part."""
        found = self._naming.named(part)
        labels = tuple(
            its if family_of(series.key) in self._families else None
            for series, its in zip(part.series, found.labels, strict=True)
        )
        return replace(found, labels=labels)

    def info(self, layout: Layout) -> tuple[Mapping[str, str], ...]:
        """Return the labels of the info series, which an output gets with any families."""
        return self._naming.info(layout)


class PattooNaming:
    """Names as pattoo has them: `pattoo_` and the key, with the metadata as labels."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def named(self, part: Layout) -> Named:
        """Return the names of the series of an undivided layout or of a part."""
        metrics: dict[str, Metric] = {}
        labels = []
        for series in part.series:
            name = label_name(f"pattoo_{series.key}")
            kind = COUNTER if series.data_type in COUNTERS else GAUGE
            metrics.setdefault(name, Metric(kind))
            labels.append(all_labels(name, own_pairs(series), part, self._output))
        return Named(tuple(labels), (1.0,) * len(labels), metrics)

    def info(self, layout: Layout) -> tuple[Mapping[str, str], ...]:
        """Return the labels of the one info series."""
        return (all_labels(HOST_INFO, host_pairs(layout), layout, self._output),)


def host_pairs(layout: Layout) -> list[Pair]:
    """Return what the metadata of a layout's first series says of the host."""
    series = next((part.series[0] for part in layout.undivided if part.series), None)
    found: dict[str, str] = {}
    for name, value in series.metadata if series else ():
        if name in HOST:
            found.setdefault(name, value)
    return list(found.items())


def own_pairs(series: Series) -> list[Pair]:
    """Return the metadata of a series without what says what the host is.

    A family's own pair may have one of these names; the host's come first.
    """
    seen: set[str] = set()
    own = []
    for name, value in series.metadata:
        if name in HOST and name not in seen:
            seen.add(name)
        else:
            own.append((name, value))
    return own


def all_labels(name: str, own: list[Pair], layout: Layout, output: Output) -> dict[str, str]:
    """Return all labels of a series: its name, those of its source, the output's, and its own.

    Each name is valid and unique, and no value is empty. A label of its own whose name is taken gets
    `exported_` before it, as Prometheus does it.
    """
    origin = layout.origin
    labels = {"instance": safe_text(origin.hostname), "job": safe_text(origin.program)}
    labels |= {label_name(label): safe_text(value) for label, value in output.labels}
    labels[NAME] = name
    for label, value in own:
        text = safe_text(value)
        if not text:
            continue
        label_is = label_name(label)
        while label_is in labels:
            label_is = f"exported_{label_is}"
        labels[label_is] = text
    return {label: value for label, value in labels.items() if value}


def label_name(text: str) -> str:
    """Return a text as a valid name of a label, or of a metric without colons.

    Names that begin with two underscores are reserved.
    """
    name = _BAD.sub("_", text)
    if not name or name[0].isdigit():
        name = f"_{name}"
    return f"_{name.lstrip('_')}" if name.startswith("__") else name


def distinct(labels: Mapping[str, str], series: Series, seen: set[bytes]) -> bytes:
    """Return the labels of a series as a part of a message; two series never have the same.

    Valid names may be the same where the originals are not. `seen` are those of the series before.
    """
    packed = labels_of(labels)
    count = 1
    while packed in seen:
        text = f"{series.key} {series.metadata} {count}".encode("utf-8", "backslashreplace")
        packed = labels_of({**labels, DISTINCT: sha256(text).hexdigest()[:16]})
        count += 1
    seen.add(packed)
    return packed
