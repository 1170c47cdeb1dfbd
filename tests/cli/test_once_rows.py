"""The rows of `--once --watch`: rates, gaps, the last minute, and what they look like."""

from __future__ import annotations

from pattoo_mp.cli.once_rows import KEPT, History, as_line, details, host_line, overview
from pattoo_mp.cli.once_screen import sparkline
from pattoo_mp.collect import registry
from pattoo_mp.doctor.polls import Answer, Figure, Snapshot
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Pair, Value

TABLES = {table.name: table for table in registry.tables()}
ETH0 = (("network_io_interface", "eth0"),)
HOST = (("type", "Linux"), ("release", "6.1.0"), ("cpus", "1"), ("hostname", "host.example"))
RECEIVED = "network_io_bytes_recv"


def taken(second: float, *figures: Figure, source: str = "network_io") -> Snapshot:
    """A snapshot of one source, so many seconds after the first."""
    answer = Answer(TABLES[source], figures, {})
    return Snapshot(1_700_000_000_000 + int(second * 1000), HOST, (answer,))


def received(value: Value) -> Figure:
    """A counter of bytes."""
    return Figure(RECEIVED, COUNTER64, "bytes", ETH0, value)


def gauge(key: str, value: Value, unit: str = "percent", of: tuple[Pair, ...] = ()) -> Figure:
    """A figure that is shown as it is."""
    return Figure(key, FLOAT, unit, of, value)


def history(*snapshots: Snapshot) -> History:
    """What is known after these."""
    made = History()
    for snapshot in snapshots:
        made.add(snapshot)
    return made


def test_a_counter_is_shown_as_its_rate_over_the_time_that_passed() -> None:
    """Not over the time that should have passed; of a network in bits."""
    known = history(taken(0, received(1000)), taken(2, received(251_000)))
    assert known.points(RECEIVED, ETH0) == (None, 125_000.0)
    (row,) = overview(known)
    assert (row.label, row.figure) == ("Network received eth0", "1.0 Mbit/s")


def test_a_counter_that_stepped_back_or_was_missing_has_no_rate() -> None:
    """A rate over a reset or a gap would be made up."""
    known = history(
        taken(0, received(1000)), taken(1, received(10)), taken(2, received(20)), taken(3),
        taken(4, received(40)), taken(5, received(None)), taken(6, received(60)),
    )  # fmt: skip
    assert known.points(RECEIVED, ETH0)[:4] == (None, None, 10.0, None)
    assert known.points(RECEIVED, ETH0)[4:6] == (None, None)


def test_the_last_minute_is_kept_and_a_series_that_came_later_begins_with_a_gap() -> None:
    """All pasts are as long as each other, so that they stand below each other."""
    known = history(*(taken(n, received(n)) for n in range(KEPT + 5)))
    known.add(taken(KEPT + 5, received(99), gauge("temperature_current", 41.5, "")))
    assert len(known.points(RECEIVED, ETH0)) == KEPT
    assert known.points("temperature_current") == (*[None] * (KEPT - 1), 41.5)


def test_what_the_overview_shows_is_not_repeated_below() -> None:
    """The rest is below the title of its family, with what was left out and why."""
    answer = Answer(
        TABLES["memory"],
        (
            gauge("memory_percent", 40.0),
            Figure("memory_used", INTEGER, "bytes", (), 4_000_000_000),
            Figure("memory_total", INTEGER, "bytes", (), 10_000_000_000),
            Figure("memory_cached", INTEGER, "bytes", (), 1_500_000),
        ),
        {"memory_slab\x1b[2J": "no such line"},
    )
    known = history(Snapshot(0, HOST, (answer,)))
    (memory,) = overview(known)
    assert (memory.label, memory.figure, memory.note) == ("Memory", "40.0 %", "4.0 GB of 10.0 GB")
    heading, cached, lacking = details(known)
    assert heading.is_heading
    assert (cached.label, cached.figure) == ("  memory_cached", "1.5 MB")
    assert (lacking.label, lacking.note) == (r"  memory_slab\x1b[2J", "no such line")


def test_rates_of_times_are_shares_and_others_have_their_unit() -> None:
    """A processor's seconds in a second, and what a count is of."""
    times = [Figure("cpu_times_user", COUNTER64, "seconds", (), 10 + n / 2) for n in range(2)]
    switches = [
        Figure("cpu_stats_ctx_switches", COUNTER64, "switches", (), 7000 * n) for n in range(2)
    ]
    known = history(*(taken(n, times[n], switches[n], source="processor.times") for n in range(2)))
    assert [row.figure for row in details(known)[1:]] == ["50.0 %", "7,000 switches/s"]


def test_one_line_has_the_most_important_figures() -> None:
    """It says so if there are none."""
    shares = taken(0, gauge("cpu_times_percent_idle", 75.0), source="processor.shares")
    assert as_line(history(shares), "now") == "now  Processor 25.0 %"
    assert as_line(history(taken(0)), "now") == "now  no figures"
    assert host_line(shares) == "host.example, Linux 6.1.0, 1 processor"


def test_a_sparkline_has_gaps_and_a_fixed_or_its_own_scale() -> None:
    """Zeros are the lowest bar, and what is over the top the highest."""
    assert sparkline((0.0, 50.0, None, 100.0, 130.0), 100.0) == "▁▅ ██"
    assert sparkline((0.0, 1.0, 2.0), None) == "▁▅█"
    assert sparkline((None, 0.0), None) == " ▁"
