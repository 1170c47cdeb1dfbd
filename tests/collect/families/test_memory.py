"""Memory and swap: only what the kernel's files say, and nothing that is impossible."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.hosts import Polled, polled
from tests.support.procfs import MEMINFO, ProcFS

if TYPE_CHECKING:
    from pathlib import Path

KIB = 1024
#: The fields of a poll with `MEMINFO`.
COMPLETE = {
    "memory_total": 8_000_000 * KIB,
    "memory_available": 6_000_000 * KIB,
    "memory_percent": 25.0,
    "memory_used": 2_000_000 * KIB,
    "memory_free": 1_000_000 * KIB,
    "memory_active": 2_500_000 * KIB,
    "memory_inactive": 1_500_000 * KIB,
    "memory_buffers": 200_000 * KIB,
    "memory_cached": 3_300_000 * KIB,
    "memory_shared": 50_000 * KIB,
    "memory_slab": 400_000 * KIB,
    "swap_memory_total": 0,
    "swap_memory_used": 0,
    "swap_memory_free": 0,
    "swap_memory_percent": 0.0,
    "swap_memory_sin": 0,
    "swap_memory_sout": 0,
}
OF_AVAILABLE = {"memory_available", "memory_used", "memory_percent"}
OF_SWAP_FREE = {"swap_memory_free", "swap_memory_used", "swap_memory_percent"}


@pytest.fixture
def procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcFS:
    """Return a simulated /proc."""
    return ProcFS(tmp_path, monkeypatch)


def memory() -> Polled:
    """Poll the memory. No warning may be raised: it would be printed to stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return polled("memory")


def without(lines: str, *names: str) -> str:
    """Return the lines that do not have one of these names."""
    return "".join(f"{line}\n" for line in lines.split("\n") if line.partition(":")[0] not in names)


def test_a_complete_host_gives_every_figure(procfs: ProcFS) -> None:
    """As psutil calculates them; before 7.0 it left the caches out of what is used."""
    del procfs
    poll = memory()
    assert (poll.figures, poll.left_out) == (COMPLETE, {})
    theirs = {f"memory_{k}": v for k, v in psutil.virtual_memory()._asdict().items()}
    theirs |= {f"swap_memory_{k}": v for k, v in psutil.swap_memory()._asdict().items()}
    if psutil.version_info < (7,):
        theirs["memory_used"] = COMPLETE["memory_used"]
    assert poll.figures == theirs


@pytest.mark.parametrize(
    ("names", "lost"),
    [
        (("Active",), {"memory_active"}),
        (("Active", "Inactive", "Shmem"), {"memory_active", "memory_inactive", "memory_shared"}),
        (("Buffers",), {"memory_buffers"}),
        (("Slab",), {"memory_slab"}),
        (("SReclaimable",), {"memory_cached"}),
        (("MemAvailable",), OF_AVAILABLE),
        (("SwapFree",), OF_SWAP_FREE),
        (("SwapTotal",), {*OF_SWAP_FREE, "swap_memory_total"}),
    ],
)
def test_a_figure_that_the_kernel_does_not_report_is_left_out(
    procfs: ProcFS, names: tuple[str, ...], lost: set[str]
) -> None:
    """As under lxcfs: it is not 0. The note names the line that is missing; the rest is sent."""
    procfs.write("meminfo", without(MEMINFO, *names))
    poll = memory()
    assert poll.figures == {key: value for key, value in COMPLETE.items() if key not in lost}
    assert len(poll.left_out) == len(lost)
    assert {why.rpartition(" ")[2] for why in poll.left_out.values()} <= set(names)


@pytest.mark.parametrize(
    ("name", "value", "lost"),
    [
        ("SwapFree", "18446744073709551615", OF_SWAP_FREE),
        ("SwapFree", "4", OF_SWAP_FREE),
        ("SwapFree", "-4", OF_SWAP_FREE),
        ("MemAvailable", "-1", OF_AVAILABLE),
        ("MemAvailable", "8000001", OF_AVAILABLE),
        ("MemFree", "9000000", {"memory_free"}),
        ("Shmem", "-3", {"memory_shared"}),
        ("Cached", "7800000", {"memory_cached"}),
        ("Slab", "9" * 5000, {"memory_slab"}),
        ("Slab", "", {"memory_slab"}),
        ("Slab", "x", {"memory_slab"}),
    ],
)
def test_an_impossible_figure_is_left_out(
    procfs: ProcFS, name: str, value: str, lost: set[str]
) -> None:
    """It costs neither the figures beside it nor the other source."""
    procfs.write("meminfo", without(MEMINFO, name) + f"{name}: {value} kB\n")
    poll = memory()
    assert poll.figures == {key: value for key, value in COMPLETE.items() if key not in lost}
    assert all(name in why for why in poll.left_out.values())
    assert len(poll.left_out) == len(lost)


def test_nothing_available_is_a_figure(procfs: ProcFS) -> None:
    """The kernel says 0 when it would have to swap."""
    procfs.write("meminfo", without(MEMINFO, "MemAvailable") + "MemAvailable: 0 kB\n")
    figures = memory().figures
    assert (figures["memory_available"], figures["memory_percent"]) == (0, 100.0)


@pytest.mark.parametrize(
    "line", ["ShadowCallStack:10373888 kB", "x", "", "a b c:", ":", "Odd: 1 2 3"]
)
def test_a_line_of_another_form_costs_nothing(procfs: ProcFS, line: str) -> None:
    """Some kernels write no blank before the number."""
    procfs.write("meminfo", f"{line}\n{MEMINFO}{line}\n")
    poll = memory()
    assert (poll.figures, poll.left_out) == (COMPLETE, {})


def test_a_number_without_a_blank_before_it_is_read(procfs: ProcFS) -> None:
    """As the kernel writes one that is too long for its column."""
    procfs.write("meminfo", without(MEMINFO, "Slab") + "Slab:400000 kB\n")
    assert memory().figures == COMPLETE


def test_swapped_pages_are_sent_in_bytes(procfs: ProcFS) -> None:
    """Of the page size of this host, which not everywhere is 4 KiB."""
    procfs.write("vmstat", "pswpin 3\nnr_x 1\npswpout 5\nzswpin 7\n")
    figures = memory().figures
    page = os.sysconf("SC_PAGE_SIZE")
    assert (figures["swap_memory_sin"], figures["swap_memory_sout"]) == (3 * page, 5 * page)


@pytest.mark.parametrize("content", [None, "", "nr_dirty 1\n", "pswpin x\npswpout -1\n"])
def test_unknown_swapped_pages_are_left_out(procfs: ProcFS, content: str | None) -> None:
    """They are not 0. The size of the swap space is sent all the same."""
    (procfs.root / "vmstat").unlink()
    if content is not None:
        procfs.write("vmstat", content)
    poll = memory()
    lost = {"swap_memory_sin", "swap_memory_sout"}
    assert poll.figures == {key: value for key, value in COMPLETE.items() if key not in lost}
    assert set(poll.left_out) == {"swap sin", "swap sout"}
    assert all("vmstat" in why for why in poll.left_out.values())


def test_an_empty_file_leaves_everything_out_with_the_reason(procfs: ProcFS) -> None:
    """The kernel's own figures (sysinfo(2)) would be those of another source."""
    procfs.write("meminfo", "")
    poll = memory()
    assert set(poll.figures) == {"swap_memory_sin", "swap_memory_sout"}
    assert len(poll.left_out) == len(COMPLETE) - 2
