"""Large layouts are divided, so that a change costs what has changed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect import registry
from pattoo_mp.collect.layouts import UNDIVIDED, LayoutMaker, own_pairs
from pattoo_mp.collect.source import Devices, Fields
from pattoo_mp.collect.table import Label, Table
from pattoo_mp.config.families import EVERY
from pattoo_mp.model import COUNTER64, Layout
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.collect.source import Shape, Source

HOST = (("hostname", "h"),)
DISKS = Table("disks", "Disks", "disk_", COUNTER64, labels=(Label("disk", "Disk", "Its name."),))
SOURCES: tuple[Source, ...] = (Fields(DISKS, dict), Devices(DISKS, dict), Devices(DISKS, dict))


def shapes(names: Sequence[str]) -> list[Shape | None]:
    """Two figures, and two sources with three fields for each device."""
    devices = tuple((name, ("a", "b", "c")) for name in names)
    return [("x", "y"), devices, devices[::-1]]


def whole(names: Sequence[str]) -> Layout:
    """The layout as it would be without parts."""
    series = [
        s
        for source, shape in zip(SOURCES, shapes(names), strict=True)
        for s in source.series(shape or (), HOST)
    ]
    return Layout(ORIGIN, 1000, tuple(series))


def make(maker: LayoutMaker, names: Sequence[str]) -> Layout:
    """The layout that the maker makes."""
    return maker.make(SOURCES, shapes(names), ORIGIN, 1000, HOST)


def identifiers(layout: Layout) -> set[str]:
    """Those of its parts."""
    return {part.identifier for part in layout.parts}


@pytest.mark.parametrize("devices", [0, 1, (UNDIVIDED - 2) // 2])
def test_a_small_layout_is_not_divided(devices: int) -> None:
    """It has the bytes and the identifier that it always had: an ordinary host pays nothing."""
    names = [f"sd{n}" for n in range(devices)]
    layout = make(LayoutMaker(), names)
    assert not layout.parts
    assert (layout.packed, layout.identifier) == (whole(names).packed, whole(names).identifier)
    assert len(layout.identifier) == 16


def test_a_large_layout_is_the_same_for_each_new_maker() -> None:
    """A collector that is started again refers to the layout that the spool has."""
    names = [f"veth{n}" for n in range(1000)]
    one, other = make(LayoutMaker(), names), make(LayoutMaker(), names)
    assert one == other
    assert one.parts
    assert one.series == whole(names).series


def test_a_part_without_a_change_is_the_very_same() -> None:
    """Of thousands of devices one goes, one comes, and one is in another place."""
    names = [f"veth{n}" for n in range(3000)]
    maker = LayoutMaker()
    before = make(maker, names)
    names.remove("veth1234")
    names.insert(7, "new")
    names.append(names.pop(2000))
    after = make(maker, names)
    assert after.series == whole(names).series
    kept = [part for part in after.parts if any(part is other for other in before.parts)]
    assert len(after.parts) - len(kept) <= 4 * 2
    assert own_pairs(SOURCES, list(maker.added)) == {("disk", "new")}
    assert own_pairs(SOURCES, list(maker.removed)) == {("disk", "veth1234")}


@pytest.mark.parametrize("seed", range(5))
def test_after_any_changes_the_series_are_those_of_the_host(seed: int) -> None:
    """Parts stay few and bounded, and each change makes few of them anew."""
    chance = random.Random(seed)
    names = [f"veth{n}" for n in range(500)]
    maker = LayoutMaker()
    before = make(maker, names)
    for number in range(500, 1500):
        if chance.random() < 0.5 and len(names) > 200:
            names.pop(chance.randrange(len(names)))
        else:
            at = len(names) if chance.random() < 0.7 else chance.randrange(len(names))
            names.insert(at, f"veth{number}")
        after = make(maker, names)
        assert len(identifiers(after) - identifiers(before)) <= 6
        before = after
    assert before.series == whole(names).series
    sizes = [len(part.series) / 3 for part in before.parts]
    assert max(sizes) <= 34
    assert sum(sizes) / len(sizes) >= 6


def test_other_metadata_of_the_host_make_every_part_new() -> None:
    """Each series carries them; so does another interval."""
    names = [f"veth{n}" for n in range(300)]
    maker = LayoutMaker()
    before = make(maker, names)
    after = maker.make(SOURCES, shapes(names), ORIGIN, 1000, (("hostname", "i"),))
    assert not identifiers(before) & identifiers(after)
    slower = maker.make(SOURCES, shapes(names), ORIGIN, 2000, HOST)
    assert not identifiers(before) & identifiers(slower)
    assert {part.interval_ms for part in slower.parts} == {2000}


def test_every_source_can_be_divided() -> None:
    """The series of a shape are those of its elements, one after the other."""
    registry.prime()
    divided = 0
    for source in sources_of(*EVERY, textfile_directory=None):
        try:
            shape = source.read().shape
        except Exception:  # noqa: BLE001, S112 - this host has none
            continue
        hash(shape)
        assert source.series(shape, HOST) == [
            series for element in shape for series in source.series((element,), HOST)
        ], source.name
        divided += bool(shape)
    assert divided >= 6
