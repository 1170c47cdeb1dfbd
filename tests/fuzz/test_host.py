"""What the host gives: texts of /proc and /sys, and text files of scripts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.collect import host, mounts
from pattoo_mp.collect.families import _prometheus
from pattoo_mp.collect.families._prometheus import FormatError
from pattoo_mp.collect.mount_tree import parse_mountinfo
from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.families import EVERY
from pattoo_mp.wire.encode import encode
from tests.fuzz.drawing import bounded, fuzz, mutated
from tests.support.hosts import HOSTS, NAMES
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN, document

if TYPE_CHECKING:
    from pathlib import Path

PROM = (
    b"# HELP up Whether it is up.\n# TYPE up gauge\nup{job=\"a\",le=\"1\"} 1\nup{job=\"b\\n\"} NaN\n"
    b"# TYPE x counter\nx_total 7\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_sum 1.5\nh_count 3\n",
)  # fmt: skip
MOUNTINFO = tuple(
    path.read_bytes() for path in HOSTS.glob("*/proc/**/mountinfo") if path.is_file()
) or (b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n",)
#: Names of devices and files that a fake host may have in addition.
STRANGE = (
    "\x1b[2J",
    "a\nb",
    "\udcff",
    "\u202e",
    "a" * 200,
    " ",
    "hwmon99",
    "-1",
    "cpu9999",
    "eth0:1",
)


@fuzz
@given(mutated(PROM))
def test_a_text_file_gives_figures_or_a_reason(content: bytes) -> None:
    """The reason quotes nothing of the file."""
    with bounded():
        try:
            found = _prometheus.figures(content)
        except FormatError as error:
            assert str(error).isprintable()  # noqa: PT017
            return
    assert all(value is None or isinstance(value, (int, float)) for _, value in found)


@fuzz
@given(
    mutated(MOUNTINFO), mutated((b"/dev/sda1 /srv\\040x ext4 rw 0 0\nnone /proc proc rw 0 0\n",))
)
def test_tables_of_mounts_are_read(info: bytes, table: bytes) -> None:
    """Lines that cannot be read are left out."""
    with bounded():
        parse_mountinfo(info.decode("utf-8", "surrogateescape"))
        mounts.parse(table.decode("utf-8", "surrogateescape"))
        mounts.on_devices(table.decode("utf-8", "surrogateescape"))


class FakeHost:
    """A copy of a stored host, whose files can be changed and put back."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        shutil.copytree(HOSTS / name, root, symlinks=True)
        self.files = sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink())
        self.contents = {file: file.read_bytes() for file in self.files}


@pytest.fixture(params=NAMES)
def fake(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FakeHost:
    """Each of the stored hosts; the families read the copy."""
    host_copy = FakeHost(tmp_path / "host", request.param)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(host_copy.root / "proc"), raising=False)
    monkeypatch.setattr(host, "SYS", host_copy.root / "sys")
    return host_copy


@fuzz
@given(data=st.data())
def test_a_poll_of_any_host_ends_and_can_be_posted(fake: FakeHost, data: st.DataObject) -> None:
    """A source that cannot be read is left out with its reason; the others are polled."""
    changed = data.draw(st.lists(st.sampled_from(fake.files), min_size=1, max_size=4, unique=True))
    for file in changed:
        file.write_bytes(data.draw(mutated((fake.contents[file],))))
    strange = changed[0].parent / data.draw(st.sampled_from(STRANGE))
    if data.draw(st.booleans()) and not strange.exists():
        strange.mkdir()
    try:
        poller = Poller(sources_of(*EVERY), ORIGIN, 1000)
        for timestamp_ms in (1000, 2000):
            with bounded():
                layout, poll = poller.poll(timestamp_ms)
            document(encode({layout.identifier: layout}, [poll], timestamp_ms))
            assert all(text.isprintable() for text in poller.left_out)
    finally:
        for file in changed:
            file.write_bytes(fake.contents[file])
        if strange.is_dir() and strange not in fake.contents:
            strange.rmdir() if not any(strange.iterdir()) else None
