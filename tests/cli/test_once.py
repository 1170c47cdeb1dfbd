"""The output of `--once`, as text and as JSON, for made-up snapshots and for this host."""

from __future__ import annotations

import json
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from pattoo_mp import __version__
from pattoo_mp.cli import main
from pattoo_mp.cli.once import SCHEMA as NUMBER
from pattoo_mp.cli.once import document, lines
from pattoo_mp.collect import registry
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.doctor.polls import Answer, Figure, Snapshot
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER
from tests.support.agent import NAME, Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.model import Value

GOLDEN = Path(__file__).parent / "golden"
TABLES = {table.name: table for table in registry.tables(ORIGINAL)}
SCHEMA = json.loads((files("pattoo_mp.cli") / "once.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
MOUNT = (
    ("disk_partition_device", "/dev/mapper/vg0-root"),
    ("disk_partition_mountpoint", "/caf\\xe9"),
    ("disk_partition_fstype", "ext4"),
    ("disk_partition_opts", "rw,relatime,discard,errors=remount-ro,stripe=256"),
)
ETH0 = (("network_io_interface", "eth0"),)
WG0 = (("network_io_interface", "wg0"),)


def answer(name: str, *figures: Figure, **left_out: str) -> Answer:
    """The answer of the source `name`."""
    return Answer(TABLES[name], figures, left_out)


def single(key: str, value: Value, unit: str) -> Snapshot:
    """A snapshot with one figure."""
    return Snapshot(1000, (), (answer("memory", Figure(key, INTEGER, unit, (), value)),))


SNAPSHOT = Snapshot(
    1_700_000_000_000,
    (
        ("release", "6.1.0"), ("version", "#1 SMP"), ("processor", ""), ("type", "Linux"),
        ("cpus", "256"), ("hostname", "host.example.org"),
    ),
    (
        answer("system.load", Figure("load_average_01min", INTEGER, "processes", (), 0.71826171875)),
        answer("processor.frequency", **{"processor.frequency": "none"}),
        answer("processor.shares", Figure("cpu_times_percent_idle", FLOAT, "percent", (), 99.8)),
        answer(
            "memory",
            Figure("memory_total", INTEGER, "bytes", (), 25_276_510_208),
            Figure("memory_free", INTEGER, "bytes", (), 0),
            Figure("memory_news", INTEGER, "", (), 5),
            Figure("memory_slab", INTEGER, "bytes", (), None),
        ),
        answer(
            "disk_partitions",
            Figure("disk_partition_disk_usage_total", INTEGER, "bytes", MOUNT, 4 << 50),
            Figure("disk_partition_disk_usage_percent", INTEGER, "percent", MOUNT, 7.5),
            **{"disk_partitions /mnt/dead\n": "no answer within 0.5 s"},
        ),
        answer("disk_io"),
        answer(
            "network_io",
            Figure("network_io_bytes_sent", COUNTER64, "bytes", ETH0, 1_048_576),
            Figure("network_io_packets_sent", COUNTER64, "packets", ETH0, 1_234_567),
            Figure("network_io_bytes_sent", COUNTER64, "bytes", WG0, 999),
        ),
    ),
)  # fmt: skip


def once(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """Return what --once prints for this host."""
    assert main(["--once", *more]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def test_the_text_matches_the_golden_file() -> None:
    """Readable units, devices above their figures, and what is left out with the reason."""
    assert "\n".join(lines(SNAPSHOT)) + "\n" == (GOLDEN / "once.txt").read_text()


def test_the_document_matches_the_golden_file() -> None:
    """Exact values; a release changes only the agent's version."""
    expected = json.loads((GOLDEN / "once.json").read_text())
    expected["agent"]["version"] = __version__
    assert document(SNAPSHOT) == expected


def test_the_document_matches_its_schema() -> None:
    """A made-up snapshot with everything that can be in one."""
    VALIDATOR.check_schema(SCHEMA)
    VALIDATOR.validate(document(SNAPSHOT))
    assert SCHEMA["properties"]["schema"]["const"] == NUMBER


@pytest.mark.parametrize("path", [["families", 0, "series", 0], ["families", 0], ["agent"], []])
def test_the_schema_describes_every_member(path: list[str | int]) -> None:
    """Its members are those of the document, in the same order."""
    part: Any = document(SNAPSHOT)
    for step in path:
        part = part[step]
    named = {(): SCHEMA, ("agent",): SCHEMA["properties"]["agent"]}
    kinds = {2: SCHEMA["$defs"]["family"], 4: SCHEMA["$defs"]["series"]}
    schema = kinds.get(len(path)) or named[tuple(map(str, path))]
    assert list(part) == schema["required"] == list(schema["properties"])


def test_the_document_of_this_host_matches_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """Every family is in it, and most have series."""
    printed = json.loads(once(capsys, "--json"))
    VALIDATOR.validate(printed)
    assert [family["name"] for family in printed["families"]] == list(TABLES)
    assert sum(len(family["series"]) for family in printed["families"]) > 20


def test_the_text_of_this_host_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Except for the host's metadata; every family has a heading."""
    printed = once(capsys).splitlines()
    families_part = printed[printed.index(registry.tables(ORIGINAL)[0].title) :]
    assert max(map(len, families_part)) <= 80
    assert {table.title for table in registry.tables(ORIGINAL)} <= set(families_part)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, "bytes", "0  B"),
        (999, "bytes", "999  B"),
        (1000, "bytes", "1.0  kB"),
        (1_500_000_000_000, "bytes", "1.5  TB"),
        (10**21, "bytes", "1,000,000.0  PB"),
        (12345678, "packets", "12,345,678  packets"),
        (99.95, "percent", "99.95  %"),
        (2596.142, "MHz", "2,596.14  MHz"),
        (None, "bytes", "not sent"),
    ],
)
def test_a_figure_is_rounded(value: Value, unit: str, shown: str) -> None:
    """Sizes have a decimal prefix, counts are exact, other values have two decimals."""
    assert lines(single("memory_total", value, unit))[-1].split("memory_total")[1].strip() == shown


def test_control_characters_are_escaped() -> None:
    """A mount point may have a line end or an escape sequence in its name."""
    place = (("disk_partition_mountpoint", "/mnt/\x1b[2J\nroot"),)
    figure = Figure("disk_partition_disk_usage_total", INTEGER, "bytes", place, 1)
    text = lines(Snapshot(1000, (), (answer("disk_partitions", figure),)))
    assert "  /mnt/\\x1b[2J\\nroot" in text


def configure(home: Path, monkeypatch: pytest.MonkeyPatch, settings: str) -> None:
    """Write a configuration with `settings` of the agent."""
    agent = Agent(home)
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  {settings}\n")
    monkeypatch.setenv("PATTOO_CONFIGDIR", str(agent.configuration))


def test_the_configuration_is_applied(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A family that is turned on, one that is turned off, and a filter."""
    settings = "{families: [uptime], families_off: [memory], interfaces_include: [lo]}"
    configure(home, monkeypatch, settings)
    shown = {f["name"]: f["series"] for f in json.loads(once(capsys, "--json"))["families"]}
    assert set(shown) == {*TABLES, "uptime"} - {"memory", "swap"}
    assert {s["labels"]["network_io_interface"] for s in shown["network_io"]} <= {"lo"}


def test_a_broken_configuration_is_reported_and_ignored(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The defaults apply; without a configuration nothing is reported."""
    configure(home, monkeypatch, "families: [uptim]")
    assert main(["--once", "--json"]) == 0
    printed = capsys.readouterr()
    assert [f["name"] for f in json.loads(printed.out)["families"]] == list(TABLES)
    assert printed.err.count("\n") == 1
    assert "'uptim'; expected uptime" in printed.err


def test_all_shows_every_family(capsys: pytest.CaptureFixture[str]) -> None:
    """Including those that are off."""
    shown = json.loads(once(capsys, "--all", "--json"))
    assert [f["name"] for f in shown["families"]] == [table.name for table in registry.tables()]


def test_families_that_are_named_are_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those that are off; in the order of a poll, each once."""
    shown = json.loads(once(capsys, "uptime", "--json", "users", "uptime"))
    assert [f["name"] for f in shown["families"]] == ["users", "uptime"]


def test_json_is_refused_with_other_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """It is bad usage, for example with --start."""
    with pytest.raises(SystemExit) as ended:
        main(["--start", "--json"])
    assert ended.value.code == 2
    assert "--json is only for" in capsys.readouterr().err


def test_a_host_without_any_value_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, and every family is shown as empty."""
    monkeypatch.setattr(
        "pattoo_mp.cli.once.snapshot", lambda *_: Snapshot(1000, (), (answer("disk_io"),))
    )
    assert main(["--once"]) == 1
    assert "None on this host." in capsys.readouterr().out


@pytest.fixture
def utc() -> Iterator[None]:
    """The time zone UTC."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_an_mtu_is_shown_exactly_and_the_boot_time_as_a_date() -> None:
    """People compare the one with other hosts, and read the other."""
    shown = lines(single("network_link_mtu", 1500, "bytes"))[-1]
    assert shown.split() == ["network_link_mtu", "1,500", "bytes"]
    shown = lines(single("uptime_boot_time", 1_795_999_163, "seconds"))[-1]
    assert shown.split(maxsplit=1)[1] == "2026-11-30 00:39:23 UTC"
