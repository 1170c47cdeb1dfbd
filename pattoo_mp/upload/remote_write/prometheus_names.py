"""Names of series as Prometheus has them: those of node_exporter where it gives the same figure.

The names are those of `names.json`, which `make samples` writes from the families' tables: the uploader
knows none of them (`tools/prometheus_names.py`).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pattoo_mp.upload.remote_write.naming import (
    COUNTER,
    COUNTERS,
    DISTINCT,
    GAUGE,
    HOST_INFO,
    Metric,
    Named,
    all_labels,
    host_pairs,
    label_name,
    own_pairs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.config.values import Output
    from pattoo_mp.model import Layout, Pair, Series

#: The setting `naming` of outputs that have these names.
PROMETHEUS: Final = "prometheus"
_FILE: Final = Path(__file__).with_name("names.json")
UNAME_INFO: Final = "node_uname_info"
#: The type of what has none, as the protocol numbers it.
_UNKNOWN: Final = 0
#: What is before the names of the metrics of text files and commands, by family; they are sent without it.
_OWN_METRICS: Final = {"textfile_metric_": "textfile", "command_metric_": "commands"}
_HELP: Final = {"textfile": "From a text file.", "commands": "From a command."}
#: The same for their labels.
_OWN_LABEL: Final = re.compile("textfile_label_|(command_label_)")
#: The label with a command's name. If a command has one of that name, that is renamed as in Prometheus.
_COMMAND: Final = "command"
_BAD: Final = re.compile("[^a-zA-Z0-9_:]")
#: Our metadata of the host, by the labels of `node_uname_info`.
_UNAME: Final = {
    "type": "sysname",
    "release": "release",
    "version": "version",
    "processor": "machine",
    "hostname": "nodename",
}


class _Known(NamedTuple):
    name: str
    kind: int
    unit: str
    scale: float
    help: str
    labels: Mapping[str, str]


@lru_cache(maxsize=1)
def _names() -> tuple[dict[str, str], dict[str, _Known]]:
    """Return our labels' names, and the names of the metrics by key."""
    content: dict[str, Any] = json.loads(_FILE.read_bytes())
    return content["labels"], {key: _Known(*row) for key, row in content["metrics"].items()}


class PrometheusNaming:
    """Names of node_exporter, or by Prometheus's guide: `pattoo_<key>_<unit>`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._labels, self._known = _names()
        self._own_names = {HOST_INFO, UNAME_INFO, *(known.name for known in self._known.values())}

    def named(self, part: Layout) -> Named:
        """Return the names of the series of an undivided layout or of a part."""
        metrics: dict[str, Metric] = {}
        labels = []
        scales = []
        for series in part.series:
            known = self._of(series)
            metrics.setdefault(known.name, Metric(known.kind, known.help, known.unit))
            own = [*known.labels.items(), *self._own(series)]
            labels.append(all_labels(known.name, own, part, self._output))
            scales.append(known.scale)
        return Named(tuple(labels), tuple(scales), metrics)

    def info(self, layout: Layout) -> tuple[Mapping[str, str], ...]:
        """Return the labels of the two info series: all that is known, and what node_exporter says."""
        host = host_pairs(layout)
        uname = [(_UNAME[name], value) for name, value in host if name in _UNAME]
        return (
            all_labels(HOST_INFO, host, layout, self._output),
            all_labels(UNAME_INFO, uname, layout, self._output),
        )

    def _of(self, series: Series) -> _Known:
        known = self._known.get(series.key)
        if known:
            return known
        is_counter = series.data_type in COUNTERS
        for prefix, family in _OWN_METRICS.items():
            if not series.key.startswith(prefix):
                continue
            kind = COUNTER if is_counter else _UNKNOWN
            name = _BAD.sub("_", series.key.removeprefix(prefix))
            # A figure of a file with the name of one of ours would be one series with it.
            mark = {DISTINCT: family} if name in self._own_names else {}
            return _Known(name, kind, "", 1.0, _HELP[family], mark)
        name = label_name(f"pattoo_{series.key}")
        if is_counter and not name.endswith("_total"):
            name = f"{name}_total"
        return _Known(name, COUNTER if is_counter else GAUGE, "", 1.0, "As psutil reports it.", {})

    def _own(self, series: Series) -> list[Pair]:
        """Return the labels of a series. Those that only describe it, such as mount options, are left out."""
        return [
            (self._labels[name] if name in self._labels else _own_label(name), value)
            for name, value in own_pairs(series)
            if self._labels.get(name, name)
        ]


def _own_label(name: str) -> str:
    """Return the name of a label of a text file or a command as it is written there."""
    found = _OWN_LABEL.match(name)
    if not found:
        return name
    own = name[found.end() :]
    return f"exported_{own}" if found[1] and own == _COMMAND else own
