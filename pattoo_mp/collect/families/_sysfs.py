"""Reads the small files of `/sys` that each hold one value of a device."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from pattoo_mp.collect import host

#: The kernel gives at most one page of memory for such a file; the largest pages have 64 KiB.
_MOST_BYTES: Final = 65536
#: No host has more devices of a kind than this.
_MOST_ENTRIES: Final = 4096
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_SHOWN: Final = 40


def entries(name: str) -> list[str]:
    """Return the names in a directory below `/sys`; none if there is no such directory.

    They are in the order of their numbers: `hwmon2` before `hwmon10`. Raises `OSError`.
    """
    try:
        found = names_in(f"{host.SYS}/{name}")
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda entry: (len(entry), entry))[:_MOST_ENTRIES]


def names_in(directory: str) -> list[str]:
    """Return the names in a directory. Raises `OSError`."""
    return os.listdir(directory)  # noqa: PTH208 - a poll lists many, and a Path takes three times as long


def attribute(path: str) -> str:
    """Return the content of a file, without white space around it. Raises `OSError`."""
    # Unbuffered, and read once: see `host.text`.
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as there
        return (file.read(_MOST_BYTES) or b"").decode("utf-8", "surrogateescape").strip()


def optional(path: str) -> str:
    """Return the content of a file; empty if there is no such file. Raises `OSError`."""
    with suppress(FileNotFoundError):
        return attribute(path)
    return ""


def whole_number(text: str) -> int:
    """Return a number of the kernel's. Raises `ValueError`, with at most 40 characters of the text."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!r} is not a whole number")
    return int(text)


def within(value: float, least: float, most: float, unit: str) -> float:
    """Return the value. Raises `ValueError` if no real device has such a value."""
    if not least <= value <= most:
        raise ValueError(f"{value:g} {unit} is not possible")
    return value


def link(path: str) -> str:
    """Return the name of the device that a link points to; empty if it is no link."""
    try:
        name = os.readlink(path).rpartition("/")[2]  # noqa: PTH115 - as above
    except OSError:
        return ""
    return name if name.strip(".") else Path(path).resolve().name
