"""A /sys of another host: chips with sensors, and other devices, written where a test says."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from pattoo_mp.collect import host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest


class SysFS:
    """The families read `root` instead of `/sys`."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        monkeypatch.setattr(host, "SYS", root)

    def write(self, directory: str, files: Mapping[str, str]) -> Path:
        """Write files of one device."""
        path = self.root / directory
        path.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (path / name).write_text(f"{text}\n", newline="")
        return path

    def link(self, name: str, target: str) -> None:
        """Make a link to something below the root."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(self.root / target, path.parent))

    def chip(self, number: int, device: str, **files: str) -> Path:
        """Make the chip `hwmon<number>` of a device below `devices`; none if it is empty.

        Returns the directory of its files.
        """
        parent = f"devices/{device or 'virtual'}"
        place = f"{parent}/hwmon/hwmon{number}"
        path = self.write(place, files)
        if device:
            self.link(f"{place}/device", parent)
        self.link(f"class/hwmon/hwmon{number}", place)
        return path

    def disk(self, number: int, address: str, wwid: str = "", **files: str) -> Path:
        """Make the chip of a SATA disk, at a SCSI address such as `2:0:0:0`."""
        device = f"pci0000:00/0000:00:17.0/host{address[0]}/target/{address}"
        if wwid:
            self.write(f"devices/{device}", {"wwid": wwid})
        return self.chip(number, device, name="drivetemp", **files)

    def clear(self) -> None:
        """Take all devices out."""
        shutil.rmtree(self.root)
        self.root.mkdir()
