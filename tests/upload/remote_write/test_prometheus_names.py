"""Names and labels of series as Prometheus and node_exporter have them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest

from pattoo_mp.collect import registry
from pattoo_mp.config.values import NO_FILES, REMOTE_WRITE, Output
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Layout, Origin, Poll, Series, now_ms
from pattoo_mp.upload.remote_write.message import request
from pattoo_mp.upload.remote_write.prometheus_names import PrometheusNaming
from pattoo_mp.upload.remote_write.samples import Batch, Encoder
from pattoo_mp.upload.remote_write.transport import RemoteWriteTransport, compressed
from tests.support.prometheus import victoria_metrics
from tests.support.waiting import wait_for
from tests.upload.remote_write.sending import HOST
from tools import prometheus_names
from tools.prometheus_names import COUNTER, UNITS, UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

PROMTOOL: Final = shutil.which("promtool")
EVERY: Final = [
    (table, metric, prometheus_names.named(table, metric))
    for _, table, metric in prometheus_names.every()
]
SOURCE: Final = {"instance": "web1", "job": "pattoo_agent_os_autonomousd"}
NAME: Final = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*")
NOT_BASE: Final = {
    "percent",
    "milliseconds",
    "microseconds",
    "kibibytes",
    "mhz",
    "minutes",
    "hours",
}
TYPES: Final = ("untyped", "counter", "gauge")


def layout(*series: Series) -> Layout:
    """Return a layout of these series, on the host web1."""
    return Layout(Origin("f" * 64, "web1"), 1000, series)


def naming(**labels: str) -> PrometheusNaming:
    """Return the naming of an output with these labels."""
    return PrometheusNaming(
        Output(REMOTE_WRITE, "m", ("http://x",), NO_FILES, labels=tuple(labels.items()))
    )


def test_the_shipped_file_is_up_to_date() -> None:
    """Run `make samples` after a change of a table."""
    assert prometheus_names.SHIPPED.read_text() == prometheus_names.names_file()


def test_each_exported_metric_is_in_its_table() -> None:
    """A name of node_exporter for a metric that no line describes would never be used."""
    for table in registry.tables():
        assert set(table.exported) <= {metric.name for metric in table.metrics}, table.name


@pytest.mark.parametrize(
    ("key", "labels", "name", "own", "scale"),
    [
        (
            "per_processor_times_user",
            {"per_processor_number": "3"},
            "node_cpu_seconds_total",
            {"cpu": "3", "mode": "user"},
            1,
        ),
        ("memory_available", {}, "node_memory_MemAvailable_bytes", {}, 1),
        ("load_average_01min", {}, "node_load1", {}, 1),
        (
            "disk_partition_disk_usage_total",
            {
                "disk_partition_device": "/dev/sda1",
                "disk_partition_mountpoint": "/",
                "disk_partition_fstype": "ext4",
                "disk_partition_opts": "rw",
            },
            "node_filesystem_size_bytes",
            {"device": "/dev/sda1", "mountpoint": "/", "fstype": "ext4"},
            1,
        ),
        (
            "disk_io_read_bytes",
            {"disk_partition": "sda"},
            "node_disk_read_bytes_total",
            {"device": "sda"},
            1,
        ),
        (
            "disk_io_read_time",
            {"disk_partition": "sda"},
            "node_disk_read_time_seconds_total",
            {"device": "sda"},
            1e-3,
        ),
        (
            "network_io_bytes_recv",
            {"network_io_interface": "eth0"},
            "node_network_receive_bytes_total",
            {"device": "eth0"},
            1,
        ),
        ("uptime_boot_time", {}, "node_boot_time_seconds", {}, 1),
        ("memory_percent", {}, "pattoo_memory_ratio", {}, 0.01),
        ("agent_lag", {}, "pattoo_agent_lag_seconds", {}, 1e-3),
        ("cgroup_cpu_time", {}, "pattoo_cgroup_cpu_time_seconds_total", {}, 1e-6),
    ],
)
def test_a_series_has_its_name_labels_and_base_unit(
    key: str, labels: dict[str, str], name: str, own: dict[str, str], scale: float
) -> None:
    """Its value times the scale is in the base unit; what says what the host is is no label."""
    found = naming().named(layout(Series(key, COUNTER64, (*HOST, *labels.items()))))
    assert found.labels == ({"__name__": name, **SOURCE, **own},)
    assert found.scales == (scale,)
    assert found.metrics[name].help.endswith(".")


def test_names_follow_the_guide() -> None:
    """Ours are lower case, in base units, with no word twice; counters end in `_total`, others do not."""
    for table, metric, found in EVERY:
        is_counter = found.kind == COUNTER
        assert is_counter == found.name.endswith("_total"), found.name
        if found.name.startswith("node_"):
            continue
        words = found.name.split("_")
        assert NAME.fullmatch(found.name)
        assert words[0] == "pattoo"
        assert not NOT_BASE & set(words)
        assert is_counter == (metric.data_type == COUNTER64), table.key(metric)
        assert all(words.count(unit) <= 1 for unit in (*UNITS, "total")), found.name
        assert not found.unit or found.name.removesuffix("_total").endswith(found.unit)


def test_a_name_has_one_type_unit_and_help() -> None:
    """Also if several metrics share it, by their labels; no two have the same labels, too."""
    first: dict[str, tuple[int, str, str]] = {}
    for _, _, found in EVERY:
        about = (found.kind, found.unit, found.help)
        assert first.setdefault(found.name, about) == about
    series = [(found.name, tuple(found.labels.items())) for _, _, found in EVERY]
    assert len(series) == len(set(series))


@pytest.mark.skipif(PROMTOOL is None, reason="needs Debian's package prometheus")
def test_promtool_finds_nothing_wrong_with_the_names() -> None:
    """Its linter: names, types, units, help. It only dislikes what node_exporter itself is called."""
    assert PROMTOOL is not None
    samples: dict[str, list[str]] = {}
    about = {found.name: found for _, _, found in EVERY}
    for _, _, found in EVERY:
        labels = ",".join(f"{name}={json.dumps(value)}" for name, value in found.labels.items())
        samples.setdefault(found.name, []).append(f"{found.name}{{{labels}}} 1")
    text = "".join(
        f"# HELP {name} {found.help}\n# TYPE {name} {TYPES[found.kind]}\n"
        + "".join(f"{line}\n" for line in samples[name])
        for name, found in about.items()
    )
    judged = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    complaints = (judged.stdout + judged.stderr).splitlines()
    assert [line for line in complaints if not line.startswith("node_")] == []


def test_figures_of_text_files_keep_their_names() -> None:
    """Name and labels are as in the file; a label that every series has gets `exported_` before it."""
    series = Series(
        "textfile_metric_backup:age_seconds",
        FLOAT,
        (*HOST, ("textfile_label_job", "nightly"), ("textfile_label_path", "/srv")),
    )
    found = naming().named(layout(series))
    assert found.labels == (
        {
            "__name__": "backup:age_seconds",
            **SOURCE,
            "exported_job": "nightly",
            "path": "/srv",
        },
    )
    assert found.metrics["backup:age_seconds"].kind == UNKNOWN


def test_a_figure_of_a_text_file_is_never_one_with_ours() -> None:
    """Also if it has the name of one of ours, which may be in another layout."""
    ours, theirs = (
        naming().named(layout(Series(key, FLOAT))).labels[0]
        for key in ("load_average_01min", "textfile_metric_node_load1")
    )
    assert ours == {"__name__": "node_load1", **SOURCE}
    assert theirs == {"__name__": "node_load1", **SOURCE, "pattoo_series": "textfile"}


def test_figures_of_commands_keep_their_names() -> None:
    """They carry the command's name. A label of that name in the output is renamed as in Prometheus."""
    series = Series(
        "command_metric_orders",
        FLOAT,
        (*HOST, ("command_name", "shop"), ("command_label_command", "x"), ("command_label_a", "1")),
    )
    percent = Series(
        "command_percent", FLOAT, (*HOST, ("command_name", "swap"), ("command_figure", "swap"))
    )
    found = naming().named(layout(series, percent))
    assert found.labels == (
        {
            "__name__": "orders",
            **SOURCE,
            "command": "shop",
            "exported_command": "x",
            "a": "1",
        },
        {"__name__": "pattoo_command_ratio", **SOURCE, "command": "swap", "figure": "swap"},
    )
    assert found.scales == (1.0, 0.01)


def test_a_receiver_has_the_names_and_values(tmp_path: Path) -> None:
    """The real VictoriaMetrics, asked by name, has the value in the base unit."""
    polled = layout(Series("memory_total", INTEGER, HOST), Series("memory_percent", INTEGER, HOST))
    poll = Poll.of(polled, now_ms(), [2**33, 25])
    blocks = Encoder(naming(site="basel")).blocks(Batch([poll], {polled.identifier: polled}))
    with victoria_metrics(tmp_path) as store:
        body = compressed(request(blocks))
        assert RemoteWriteTransport(store.url).post("", body).delivered

        def stored() -> list[dict[str, Any]]:
            store.flush()
            return store.exported('{site="basel"}')

        # It makes samples searchable in its own time.
        wait_for(lambda: len(stored()) == 4, what="all series")
        found = {
            series["metric"]["__name__"]: (series["metric"]["site"], series["values"])
            for series in stored()
        }
    assert found == {
        "node_memory_MemTotal_bytes": ("basel", [2**33]),
        "pattoo_memory_ratio": ("basel", [0.25]),
        "pattoo_host_info": ("basel", [1]),
        "node_uname_info": ("basel", [1]),
    }


def test_a_series_that_no_table_describes_is_sent_all_the_same() -> None:
    """As `pattoo_<key>`, with its metadata as labels; a counter ends in `_total`."""
    found = naming(site="basel").named(
        layout(Series("memory_new", INTEGER, (("n", "1"),)), Series("c_x", COUNTER64))
    )
    common = {**SOURCE, "site": "basel"}
    assert found.labels == (
        {"__name__": "pattoo_memory_new", **common, "n": "1"},
        {"__name__": "pattoo_c_x_total", **common},
    )


def test_the_host_is_two_info_series() -> None:
    """The first has all that is known of it, the second what node_exporter says."""
    host, uname = naming().info(layout(Series("load", INTEGER, (*HOST, ("hostname", "web1")))))
    assert host["__name__"] == "pattoo_host_info"
    assert uname == {
        "__name__": "node_uname_info",
        **SOURCE,
        "sysname": "Linux",
        "release": "6.1",
        "version": "#1",
        "nodename": "web1",
    }
