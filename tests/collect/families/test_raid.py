"""Software RAID, on a server with healthy and degraded arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families.raid import parse
from tests.support.hosts import HOSTS, be, polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path

MDSTAT = (HOSTS / "server" / "proc" / "mdstat").read_text()
NAMES = ("active", "disks", "disks_working", "disks_failed", "disks_spare", "size", "sync_percent")
ARRAYS = {
    "md0": (1, 2, 2, 0, 0, 1_046_528 * 1024, None),
    "md1": (1, 3, 2, 1, 0, 2_095_104 * 1024, 8.5),
    "md2": (1, 2, 2, 0, 0, 314_159_264 * 1024, None),
    "md3": (1, 2, 2, 0, 1, 4_190_208 * 1024, None),
    "md127": (0, None, None, 0, None, 7932 * 1024, None),
}


def test_each_array_shows_its_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """Degraded, in recovery, without redundancy, with a spare, and not started."""
    be("server", monkeypatch)
    poll = polled("raid")
    assert poll.by("raid_array") == {
        name: dict(zip((f"raid_{key}" for key in NAMES), figures, strict=True))
        for name, figures in ARRAYS.items()
    }
    assert poll.left_out == {}


@pytest.mark.parametrize(
    "damaged",
    [
        "md9 : active raid1 sda1[0]\n",
        "md9 : \n      64 blocks\n",
        "md9\n",
        "\tx\n",
        "md9 : broken\n",
        "md9 : active raid1 sda1[0]\n      64 blocks [2/-1] [U_]\n",
    ],
)
def test_a_damaged_array_costs_no_other(damaged: str) -> None:
    """The others' values are unchanged."""
    good = parse(MDSTAT)
    first, _, rest = MDSTAT.partition("\n")
    found = parse(f"{first}\n{damaged}\n{rest}")
    assert {name: found[name] for name in good} == good
    assert isinstance(found.get("md9", ValueError()), ValueError)


@pytest.mark.parametrize("state", ["broken", "inactive"])
def test_an_array_that_cannot_be_used_is_not_active(state: str) -> None:
    """Whatever the kernel calls it."""
    array = parse(f"md9 : {state} raid0 sda1[0] sdb1[1]\n      64 blocks super 1.2 512k chunks\n")[
        "md9"
    ]
    assert isinstance(array, dict)
    assert (array["active"], array["disks_working"]) == (0, None)


def test_an_array_without_its_size_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its name."""
    ProcFS(tmp_path, monkeypatch).write("mdstat", f"{MDSTAT}md9 : active raid1 sda1[0]\n")
    poll = polled("raid")
    assert list(poll.by("raid_array")) == list(ARRAYS)
    assert list(poll.left_out) == ["raid md9"]


@pytest.mark.parametrize("content", [None, "", "Personalities :\nunused devices: <none>\n"])
def test_a_host_without_arrays_is_noted(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver is not loaded, or has no array."""
    procfs = ProcFS(tmp_path, monkeypatch)
    if content is not None:
        procfs.write("mdstat", content)
    assert list(polled("raid").left_out) == ["raid"]
