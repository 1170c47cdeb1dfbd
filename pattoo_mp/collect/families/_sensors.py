"""The sensors of the host's chips, below `/sys/class/hwmon`.

The kernel numbers chips (`hwmon3`) and disks anew at each start, and when one is pulled or plugged
in. So a sensor is named by what stays: see `docs/decisions/030-sensors-by-device.md`, which also
says why psutil is not asked. The files are described in the kernel's
Documentation/hwmon/sysfs-interface.rst.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.families._sysfs import (
    attribute,
    entries,
    link,
    names_in,
    optional,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.collect.source import Row
    from pattoo_mp.model import Value

_CHIPS: Final = "class/hwmon"
#: A device of a class (a disk's controller, a thermal zone) has the device that it is part of as
#: `device`. Not more than so many are followed.
_MOST_PARENTS: Final = 4
_ON_I2C: Final = re.compile(r"[0-9]+-([0-9a-f]{4})")
_HID: Final = re.compile(r"[0-9A-F]{4}:[0-9A-F]{4}:[0-9A-F]{4}\.[0-9A-F]{4}")
#: What reading gives for a device without a number of its maker's, such as a virtual disk.
_HAS_NONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EINVAL, errno.ENXIO)


def chips() -> list[str]:
    """Return the kernel's names of the chips, such as `hwmon0`. They do not stay the same."""
    return entries(_CHIPS)


@dataclass(frozen=True, slots=True)
class Sensor:
    """One channel of a chip: `path` is the beginning of the paths of its files.

    `files` are the names of all files beside it, and `channel` is its own, such as `temp1`.
    """

    path: str
    channel: str
    files: frozenset[str]

    def has(self, ending: str) -> bool:
        """Whether the chip has such a file for the sensor."""
        return f"{self.channel}_{ending}" in self.files

    def number(self, ending: str) -> int:
        """Return the value of one of its files. Raises `OSError` and `ValueError`."""
        return whole_number(attribute(f"{self.path}_{ending}"))

    def label(self) -> str:
        """Return the driver's name for it; empty if there is none. Raises `OSError`."""
        return attribute(f"{self.path}_label") if self.has("label") else ""

    def check(self) -> None:
        """Raise `ValueError` if the chip says that the sensor does not work."""
        if self.has("fault") and self.number("fault"):
            raise ValueError("the chip reports a fault of this sensor")


def read_chip(
    chip: str,
    kind: str,
    row: Callable[[Sensor], dict[str, Value | Exception]],
    accepts: Callable[[str], bool] = bool,
) -> dict[str, Row]:
    """Return the figures of a chip's sensors of a kind (`temp`, `fan`), by name.

    None for a sensor that `accepts` does not want; it is not read. Raises `OSError` and
    `ValueError` if it is not known which chip it is.
    """
    sensors = list(_sensors(f"{host.SYS}/{_CHIPS}/{chip}", kind))
    if not sensors:
        return {}
    name, device = _identity(chip)
    rows: dict[str, Row] = {}
    for sensor in sensors:
        where = f"({' '.join(filter(None, (device, sensor.channel)))})"
        try:
            title = " ".join(filter(None, (name, sensor.label(), where)))
        except OSError as error:
            rows[f"{name} {where}".strip()] = error
        else:
            rows[title] = _read(sensor, row) if accepts(title) else None
    return rows


def _read(sensor: Sensor, row: Callable[[Sensor], dict[str, Value | Exception]]) -> Row:
    try:
        sensor.check()
        return row(sensor)
    except (OSError, ValueError) as error:
        return error


def _sensors(directory: str, kind: str) -> Iterator[Sensor]:
    """Yield the sensors of a chip. Old drivers have the files in `device`."""
    channel = re.compile(rf"({kind}[0-9]{{1,9}})_input")
    for place in (directory, f"{directory}/device"):
        try:
            files = frozenset(names_in(place))
        except (FileNotFoundError, NotADirectoryError):
            continue
        found = [match[1] for match in map(channel.fullmatch, files) if match]
        for name in sorted(found, key=lambda name: (len(name), name)):
            yield Sensor(f"{place}/{name}", name, files)
        if found:
            return


def _identity(chip: str) -> tuple[str, str]:
    """Return the name of a chip, and its device; either may be empty.

    Raises `OSError`, and `ValueError` if both are.
    """
    directory = f"{host.SYS}/{_CHIPS}/{chip}"
    name = optional(f"{directory}/name") or optional(f"{directory}/device/name")
    device = device_of(directory)
    if not name and not device:
        raise ValueError("it has neither a name nor a device: nothing says which chip it is")
    return name, device


def device_of(directory: str) -> str:
    """Return what stays of the device that something in `/sys/class` belongs to; empty if nothing.

    That is the number that a disk's maker gave it, or else the device's address. Raises `OSError`.
    """
    device = directory
    for _ in range(_MOST_PARENTS):
        parent = f"{device}/device"
        if not link(parent):
            break
        device = parent
        number = _makers_number(device)
        if number:
            return number
    name = link(device) if device != directory else ""
    return _address(device, name)


def _makers_number(device: str) -> str:
    """Return the number that tells a disk from all others; empty for anything else.

    Raises `OSError` if it has one that cannot be read now.
    """
    for file in ("wwid", "serial"):
        try:
            number = " ".join(attribute(f"{device}/{file}").split())
        except OSError as error:
            if error.errno not in _HAS_NONE:
                raise  # by its address it would be taken for another, as long as this lasts
        else:
            if number:
                return number
    return ""


def _address(device: str, name: str) -> str:
    """Return the address of a device whose kernel name may have a number that does not stay.

    I2C buses are numbered as they are found, so `3-0018` becomes the name of the bus and `0018`.
    HID devices are numbered as they are plugged in, so the port is taken, such as `1-3:1.0`.
    """
    on_i2c = _ON_I2C.fullmatch(name)
    if not on_i2c and not _HID.fullmatch(name):
        return name
    bus = Path(device).resolve().parent
    if on_i2c is None:
        return bus.name
    try:
        title = " ".join(attribute(str(bus / "name")).split())
    except OSError:
        return name
    return f"{bus.parent.name} {title} {on_i2c[1]}" if title else name
