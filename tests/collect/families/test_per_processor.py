"""The times and the frequency of each processor, and their mean frequency."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect import host
from pattoo_mp.collect.families import _frequencies
from pattoo_mp.model import COUNTER64
from tests.support.hosts import HOSTS, be, polled
from tests.support.procfs import TIMES, ProcFS
from tests.support.sysfs import SysFS

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.model import Value

CPUS = "devices/system/cpu"
BOARD = {"0": 1416.0, "2": 1416.0, "3": 1416.0, "4": 1800.0}


@pytest.fixture
def procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcFS:
    """Return a host whose `/proc` has no frequency."""
    found = ProcFS(tmp_path / "proc", monkeypatch)
    found.write("cpuinfo", "processor\t: 0\n")
    return found


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SysFS:
    """Return a host whose `/sys` is empty."""
    return SysFS(tmp_path / "sys", monkeypatch)


def times() -> dict[str, dict[str, Value]]:
    """Return the times of a poll, by the numbers of the processors."""
    series = polled("per_processor").series
    found: dict[str, dict[str, Value]] = {}
    for one, value in series.items():
        label, number = one.metadata[-1]
        if label == "per_processor_number":
            found.setdefault(number, {})[one.key] = value
    return found


def frequencies() -> dict[str, Value]:
    """Return the frequencies of a poll, by the numbers of the processors."""
    series = polled("per_processor").series.items()
    return {one.metadata[-1][1]: value for one, value in series if one.key.endswith("frequency")}


def mean() -> Value:
    """Return the mean frequency of a poll."""
    return polled("processor").figures.get("cpu_frequency")


@pytest.mark.parametrize("processors", [1, 2, 256])
def test_each_processor_has_its_times(processors: int, procfs: ProcFS, sysfs: SysFS) -> None:
    """A counter in seconds for each way that its time is spent."""
    del sysfs
    procfs.processors(processors)
    poll = polled("per_processor")
    numbers = poll.by("per_processor_number")
    assert list(numbers) == [str(number) for number in range(processors)]
    assert numbers["0"]["per_processor_times_user"] == 174.8
    assert len(poll.series) == 10 * processors
    assert {series.data_type for series in poll.series} == {COUNTER64}
    assert poll.left_out == {"per_processor.frequency": "the kernel reports no processor frequency"}


def test_processors_keep_their_numbers_when_one_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own times, and those that share a clock have its frequency each."""
    be("board", monkeypatch)
    users = {number: row["per_processor_times_user"] for number, row in times().items()}
    assert users == {"0": 10.0, "2": 12.0, "3": 8.0, "4": 10.0}
    assert frequencies() == BOARD
    assert polled("per_processor").left_out == {}


def test_the_mean_frequency_is_that_of_processors_that_are_online(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A clock that three of them share counts three times; one that is offline does not count."""
    be("board", monkeypatch)
    assert mean() == (3 * 1416.0 + 1800.0) / 4


def test_a_processor_with_damaged_times_is_left_out_alone(procfs: ProcFS) -> None:
    """The others keep their values."""
    procfs.write("stat", f"cpu  {TIMES}\ncpu0 {TIMES}\ncpu1 17 x\ncpu2 {TIMES}\nintr 5\n")
    assert list(times()) == ["0", "2"]
    assert polled("per_processor").left_out["per_processor.times 1"] == ("'17 x' are not times")


def test_cpuinfo_has_the_frequency_of_each_processor_that_is_online(
    procfs: ProcFS, sysfs: SysFS
) -> None:
    """As on x86, where policies also list processors that are offline."""
    procfs.write(
        "cpuinfo", "processor\t: 0\ncpu MHz\t\t: 3000.000\n\nprocessor\t: 2\ncpu MHz\t: 1000\n"
    )
    for number in range(3):
        sysfs.write(f"{CPUS}/cpufreq/policy{number}", {"scaling_cur_freq": "400000"})
    assert frequencies() == {"0": 3000.0, "2": 1000.0}
    assert mean() == 2000.0


def test_cpuinfo_of_other_machines_is_read() -> None:
    """IBM Z has other names; and a name in another field is none."""
    z = "vendor_id : IBM/S390\nprocessor 0: version = FF\n\ncpu number : 3\ncpu MHz dynamic : 5000\n"
    assert _frequencies.parse(z + "cpu MHz static : 5200\n") == {3: 5000.0}
    assert _frequencies.parse("processor : 1\nmodel name : a cpu MHz : 5\n") == {}
    assert _frequencies.parse("processor : one\ncpu MHz : 5\n\ncpu MHz : 6\n") == {}


@pytest.mark.parametrize("text", ["0.000", "", "nan", "-5", "1e999", "unknown"])
def test_a_frequency_that_cannot_be_right_is_left_out_alone(text: str, procfs: ProcFS) -> None:
    """With the number of the processor."""
    procfs.write("cpuinfo", f"processor : 0\ncpu MHz : {text}\nprocessor : 1\ncpu MHz : 2000\n")
    assert frequencies() == {"1": 2000.0}
    assert mean() == 2000.0
    note = {"processor.frequency 0": f"{text!r} is not a frequency"}
    assert polled("processor").left_out == note


@pytest.mark.parametrize("place", ["cpufreq/policy{}", "cpu{}/cpufreq"])
def test_a_policy_without_a_frequency_is_left_out_alone(
    place: str, procfs: ProcFS, sysfs: SysFS
) -> None:
    """Old kernels have policies at the processors. An offline processor is no part, and no fault."""
    del procfs
    sysfs.write(f"{CPUS}/{place.format(0)}", {"scaling_cur_freq": "3000000"})
    sysfs.write(f"{CPUS}/{place.format(1)}", {"scaling_max_freq": "3000000"})
    sysfs.write(f"{CPUS}/cpu1", {"online": "0"})
    assert (frequencies(), mean()) == ({"0": 3000.0}, 3000.0)
    assert polled("processor").left_out == {}
    sysfs.write(f"{CPUS}/cpu1", {"online": "1"})
    assert (frequencies(), mean()) == ({"0": 3000.0}, 3000.0)
    assert list(polled("processor").left_out) == ["processor.frequency 1"]
    sysfs.write(f"{CPUS}/{place.format(1)}", {"cpuinfo_cur_freq": "1000000"})
    assert (frequencies(), mean()) == ({"0": 3000.0, "1": 1000.0}, 2000.0)


def test_a_processor_that_two_policies_claim_is_left_out(procfs: ProcFS, sysfs: SysFS) -> None:
    """One of them is wrong."""
    del procfs
    for number, cpus in (0, "0 1"), (1, "1"):
        sysfs.write(
            f"{CPUS}/cpufreq/policy{number}",
            {"affected_cpus": cpus, "scaling_cur_freq": f"{number + 1}000000"},
        )
    assert frequencies() == {"0": 1000.0}
    assert polled("processor").left_out == {
        "processor.frequency 1": "two policies have this processor"
    }


POLICIES = sorted(
    str(path.relative_to(HOSTS / "board" / "sys"))
    for path in (HOSTS / "board" / "sys" / CPUS).rglob("*")
    if path.is_file()
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(POLICIES),
    damage=st.sampled_from([b"", b"?", b"-1", b"\xff\xfe", b"9" * 5000, b"gone", b"unreadable"]),
)
def test_a_damaged_policy_changes_no_other(
    name: str, damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frequencies of the processors of others are as before."""
    be("board", monkeypatch)
    root = tmp_path / "sys"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(HOSTS / "board" / "sys", root, symlinks=True)
    monkeypatch.setattr(host, "SYS", root)
    (root / name).unlink()
    if damage == b"unreadable":
        (root / name).mkdir()
    elif damage != b"gone":
        (root / name).write_bytes(damage)
    own = {"policy0": "023", "policy4": "4"}.get((root / name).parent.name, "")
    found = frequencies()
    assert {number: mhz for number, mhz in BOARD.items() if number not in own}.items() <= (
        found.items()
    )


def test_what_psutil_reports_of_this_host_too_is_equal() -> None:
    """The times between two of psutil's answers; and a frequency where it has one."""
    before = [list(each) for each in psutil.cpu_times(percpu=True)]
    ours = [list(row.values()) for row in times().values()]
    after = [list(each) for each in psutil.cpu_times(percpu=True)]
    assert [len(row) for row in ours] == [len(row) for row in before]
    for earlier, row, later in zip(before, ours, after, strict=True):
        # The kernel's idle times sometimes go back a little.
        assert all(
            a - 0.1 <= (b or 0) <= c + 0.1 for a, b, c in zip(earlier, row, later, strict=True)
        )
    try:
        ours_too = _frequencies.by_processor()
    except NotImplementedError:
        assert not psutil.cpu_freq(percpu=True)
    else:
        assert len(ours_too) == len(psutil.cpu_freq(percpu=True))
