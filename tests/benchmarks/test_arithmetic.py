"""The arithmetic of `make bench`: what becomes a figure, what is too noisy, what is counted."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import figures
from tests.benchmarks.alone import Rate
from tests.benchmarks.figures import AGENT, BARE, Costs
from tests.benchmarks.hosts import LARGE, polls
from tests.benchmarks.late import Late, Lateness
from tests.benchmarks.neighbour import Cache, bytes_of_walk, caches, numbers, size
from tests.benchmarks.noise import OTHER_WORK, Figure, Processors, figure, idle_s, once
from tests.benchmarks.side_by_side import Calls, Look, Measured
from tests.benchmarks.system_calls import UncountedError, system_calls, total
from tests.support.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HZ = 10
SECONDS = 5.0
POLLS = HZ * SECONDS
STAT = """\
cpu  300 0 100 5000 30 0 2 9 0 0
cpu0 100 0 50 2000 20 0 1 4 0 0
cpu1 200 0 50 3000 10 0 1 5 0 0
intr 77
"""
SUMMARY = """\
    calls syscall
--------- ----------------
      410 read
       90 close
--------- ----------------
      500 total
"""


def test_a_figure_is_the_median_with_its_quartiles() -> None:
    """Written as a person reads it."""
    found = figure([1.5, 1.4, 1.6, 1.5, 1.45])
    assert (found.median, found.low, found.high) == (1.5, 1.45, 1.5)
    assert f"{found:.2f}" == "1.50 (1.45 to 1.50)"
    assert found.brief(".1f") == "1.5"
    assert f"{figure([2.0, 2.0, 2.0]):.0f}" == "2"


def test_a_disturbed_window_does_not_count() -> None:
    """However far away its value is."""
    disturbed = [False, True, False, False, True]
    assert figure([1.0, 9.0, 1.0, 1.0, 0.1], disturbed) == Figure(1.0, 1.0, 1.0)


@pytest.mark.parametrize(("bad", "number"), [(3, 5), (5, 5), (4, 7)])
def test_a_figure_with_few_windows_left_is_too_noisy(bad: int, number: int) -> None:
    """Half of them must be left, and three."""
    found = figure([1.0] * number, [n < bad for n in range(number)])
    assert f"{found:.2f}" == found.brief(".2f") == "too noisy"
    assert found.doubt == f"other work disturbed {bad} of {number} windows"


def test_two_windows_are_too_few() -> None:
    """They say nothing about the spread."""
    assert figure([1.0, 1.0]).doubt == "2 windows are too few"


def test_a_figure_with_a_wide_spread_is_too_noisy() -> None:
    """The quartiles are more than a quarter of the median apart, and more than the floor."""
    wide = [1.0, 1.2, 1.5, 1.8, 2.0]
    assert figure(wide).doubt == "its quartiles are 1.2 and 1.8"
    assert not figure(wide, floor=0.7).doubt
    assert not figure([0.0, 0.0, 0.0]).doubt


def test_a_figure_in_another_unit_keeps_its_doubt() -> None:
    """A too noisy time is a too noisy share."""
    assert figure([1.0, 1.0, 1.0]).times(100) == Figure(100.0, 100.0, 100.0)
    assert once(1.0, 0.5).times(100).brief(".1f") == "too noisy"


def test_a_single_measurement_is_judged_by_other_work() -> None:
    """It has no spread."""
    assert f"{once(0.5, OTHER_WORK):.2f}" == "0.50"
    assert once(0.5, 0.123).doubt == "other work took 0.12 of a processor"


def test_waiting_for_input_is_idle_and_stolen_time_is_not() -> None:
    """The row of all processors together is left out."""
    assert idle_s(STAT, 100) == (50.3, 2)


def test_other_work_is_what_neither_rested_nor_was_ours() -> None:
    """In processors."""
    before = Processors(at=100.0, idle=50.0, ours=7.0, number=2)
    after = Processors(at=110.0, idle=62.0, ours=10.0, number=2)
    assert after.other_since(before) == pytest.approx(0.5)
    rested = Processors(at=110.0, idle=70.5, ours=7.0, number=2)
    assert rested.other_since(before) == 0.0


def test_sizes_and_lists_are_read_as_the_kernel_writes_them() -> None:
    """Both from files of /sys."""
    assert [size(text) for text in ("48K\n", "260M", "512")] == [48 << 10, 260 << 20, 512]
    assert numbers("0-2,5\n") == {0, 1, 2, 5}


def test_the_caches_of_a_processor_without_those_of_instructions(tmp_path: Path) -> None:
    """What cannot be read is left out."""
    for index, kind, text in ((0, "Data", "48K"), (1, "Instruction", "32K"), (3, "Unified", "8M")):
        entry = tmp_path / "cpu1" / "cache" / f"index{index}"
        entry.mkdir(parents=True)
        for name, content in (
            ("type", kind),
            ("size", text),
            ("level", "1"),
            ("shared_cpu_list", "0-1"),
        ):
            (entry / name).write_text(f"{content}\n")  # fmt: skip
    (tmp_path / "cpu1" / "cache" / "index4").mkdir()
    both = frozenset({0, 1})
    assert caches(1, tmp_path) == [Cache(1, 48 << 10, both), Cache(1, 8 << 20, both)]
    assert caches(0, tmp_path) == []


def test_the_walks_of_all_processors_are_more_than_the_caches_hold() -> None:
    """A cache that is shared is walked through by all that share it, each a part."""
    ours = frozenset({0, 1})
    own, shared = Cache(2, 2 << 20, frozenset({0})), Cache(3, 32 << 20, frozenset({0, 1, 2, 3}))
    walk = bytes_of_walk([own, shared], ours, 1 << 40)
    assert len(ours) * walk > shared.size
    assert walk == 1.25 * (own.size + shared.size / len(ours))
    assert bytes_of_walk([own, shared], ours, 1 << 20) == 1 << 20
    assert bytes_of_walk([], ours, 1 << 40) > 0


def test_the_calls_of_a_summary_are_its_total() -> None:
    """Strace writes nothing about a process that made none."""
    assert total(SUMMARY) == 500
    assert total("") == 0


def test_calls_that_cannot_be_counted_have_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without strace."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UncountedError, match="strace is not installed"):
        system_calls({}, 1)


def _measured(ratios: Sequence[float], other: float = 0.0) -> Measured:
    """Windows in which bare psutil takes 1 ms a poll, and the collector so many times that."""
    looks = []
    spent = 0.0
    for number, ratio in enumerate([0.0, *ratios]):
        spent += ratio * POLLS / 1000
        used = {
            (AGENT, "control"): Usage(spent / 2, round(number * POLLS), 0, 9_000),
            (AGENT, "collector"): Usage(spent, 2 * round(number * POLLS), 100 * number, 11_000),
            (AGENT, "uploader"): Usage(0.0, 0, 0, 17_000),
            (BARE, ""): Usage(number * POLLS / 1000, 0, 0, 8_000),
        }
        at = number * SECONDS
        looks.append(Look(used, Processors(at, at * (2 - other), 0.0, 2)))
    calls = {(AGENT, part): 40.0 for part in figures.PARTS} | {(BARE, ""): 30.0}
    windows = list(pairwise(looks))
    return Measured(HZ, windows, {AGENT: 100, BARE: 100}, Calls(calls, other))


def test_ratios_are_those_of_each_window() -> None:
    """The median of the ratios, of the whole tree and of one process."""
    measured = _measured([1.0, 1.1, 1.0, 1.2, 1.1])
    assert measured.ratio(AGENT, BARE).median == pytest.approx(1.65)
    assert measured.ratio(AGENT, BARE, "collector").median == pytest.approx(1.1)
    assert measured.processor_ms(AGENT, "collector").median == pytest.approx(1.1)
    assert measured.share(AGENT).median == pytest.approx(0.0165)
    assert measured.more_ms(AGENT, BARE).median == pytest.approx(0.65)


def test_counts_are_those_of_a_poll() -> None:
    """Wake-ups, page faults, system calls; memory is a level."""
    measured = _measured([1.0] * 5)
    assert measured.wakeups(AGENT).median == pytest.approx(3.0)
    assert measured.faults(AGENT, "collector").median == pytest.approx(2.0)
    assert measured.calls_of(AGENT) == once(120.0, 0.0)
    assert measured.calls_of(AGENT, "collector") == once(40.0, 0.0)
    assert measured.memory_mb(AGENT) == 37.0


def _costs(measured: Measured, missed: int = 0, other: float = 0.0) -> Costs:
    late = Lateness(Late(0.1, 2.0, 0), Late(0.1, 4.0, 0), other)
    return Costs(measured, late, Rate(100, 60.0, 100, missed, once(0.15, other), None))


def test_the_table_of_costs_compares_a_quiet_host_with_the_neighbour() -> None:
    """A too noisy run has no figures, and says why below the table."""
    text = figures.costs(
        _costs(_measured([1.0] * 5)), _costs(_measured([1.0] * 5, 0.5), missed=3, other=0.5), 38.0
    )
    rows = {
        row.split("|")[1].strip(): row.split("|")[2:-1] for row in text.splitlines() if "|" in row
    }
    cells = {name: [cell.strip() for cell in row] for name, row in rows.items()}
    assert cells["processor time per poll, relative to bare psutil calls"] == [
        "1.5",
        "1.50",
        "too noisy",
    ]
    assert cells["… of the collector alone"] == ["1.1", "1.00", "too noisy"]
    assert cells["system calls of the collector per poll"] == ["35", "40", "too noisy"]
    assert cells["ticks missed in 60 s at 100 Hz"] == ["0", "0", "too noisy"]
    assert cells["… share of one processor, %"] == ["20", "15.0", "too noisy"]
    assert "Quiet host: other work took 0.00 of a processor" in text
    assert (
        "With the neighbour: other work took 0.50 of a processor, the median of 5 windows; 5 of"
        in text
    )
    assert (
        "bare psutil, as other work disturbed 5 of 5 windows; lateness, as other work took 0.50"
        in text
    )


def test_no_missed_tick_is_believed_even_beside_other_work() -> None:
    """Other work makes a tick late, never early."""
    noisy = _costs(_measured([1.0] * 5), missed=0, other=0.5)
    text = figures.costs(noisy, noisy, 38.0)
    assert "| ticks missed in 60 s at 100 Hz | 0 | 0 | 0 |" in text


def test_the_comparison_has_a_row_for_each_program_and_process() -> None:
    """And says how calm the windows were."""
    lines = figures.comparison(_measured([1.0] * 5)).splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("|")] == [
        "at 10 Hz", "---", AGENT, *(f"… its {part}" for part in figures.PARTS), BARE,
    ]  # fmt: skip
    assert lines[2] == "| pattoo_mp | 100 | 1.50 | 15.0 | 1.50 | 3.0 | 120 | 2.0 | 37.0 | 1.00 |"
    assert lines[-1].startswith("Of the windows: other work took 0.00 of a processor")


def test_what_was_not_counted_and_what_did_not_start_is_named() -> None:
    """A missing column or row has its reason below the table."""
    whole = _measured([1.0] * 5)
    calls = Calls(uncounted="strace is not installed")
    measured = Measured(HZ, whole.windows, whole.datapoints, calls, absent=["collectd"])
    text = figures.comparison(measured)
    assert "| 3.0 | not counted | 2.0 |" in text
    assert text.endswith(
        " System calls: strace is not installed. Left out, as it did not start: collectd.\n"
    )


def test_slow_rates_are_named_by_their_interval() -> None:
    """Nobody says 0.1 Hz."""
    assert [figures.rate_name(hz) for hz in (10, 1, 0.1)] == ["at 10 Hz", "at 1 Hz", "at 10 s"]


def test_the_large_host_has_the_datapoints_of_all_its_devices(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """8 of each interface, 9 of each disk, 4 of each mount: else it would not be large."""
    layout, found = polls(LARGE.install(monkeypatch, tmp_path / "proc"), 2)
    assert len(layout.series) == 8 * 1_000 + 9 * 200 + 4 * 100
    assert len(found) == 2
