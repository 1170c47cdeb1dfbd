"""Helpers for psutil's sensor results, which map each chip to a list of sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.model import Value


def by_sensor(
    chips: Mapping[str, Sequence[Any]], row: Callable[[Any], dict[str, Value]]
) -> dict[str, dict[str, Value]]:
    """Return a row for each sensor, by a unique name: chip and label, and a number if needed.

    psutil puts the sensors of all chips with the same name (two disks of the same model) into one
    list.
    """
    rows: dict[str, dict[str, Value]] = {}
    for chip, sensors in chips.items():
        for sensor in sensors:
            rows[_unique(f"{chip} {sensor.label}".strip(), rows)] = row(sensor)
    return rows


def _unique(name: str, taken: Mapping[str, object]) -> str:
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name} {number}"
    return unique
