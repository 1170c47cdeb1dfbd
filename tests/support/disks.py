"""Disks that are small enough to fill, and mounts that only one program sees."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def mount(*words: str | Path) -> bool:
    """Mount a file system. Return whether that is allowed here."""
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def small(directory: Path, size: str = "1m") -> Iterator[Path]:
    """Make a directory, and mount a file system of that size on it for the block."""
    directory.mkdir()
    if os.geteuid() != 0 or not mount(
        "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", directory
    ):
        pytest.skip("only root may mount, and not everywhere")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextlib.contextmanager
def small_blocks(directory: Path) -> Iterator[Path]:
    """Make a directory, and mount a file system of 8 MB with blocks of 1 KB on it for the block."""
    directory.mkdir()
    image = directory.with_name(f"{directory.name}.image")
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("only root may mount, and mkfs.ext4 is needed")
    words = ["mkfs.ext4", "-q", "-b", "1024", "-O", "^has_journal", str(image)]
    subprocess.run(words, check=True, capture_output=True)
    if not mount("-o", "loop", image, directory):
        pytest.skip("no loop device can be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def shut(disk: Path) -> None:
    """Make it read-only, as the kernel does after a disk error."""
    assert mount("-o", "remount,ro", disk)


def fill(disk: Path, *, but_for: int = 0) -> Path:
    """Fill it but for so many bytes. Return the file that fills it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        file.truncate(max(0, file.tell() - but_for))
    return filler


def free_bytes(disk: Path) -> int:
    """Return the free bytes."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
