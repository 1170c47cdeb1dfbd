"""What psutil's answers of sensors have in common: chips, each with a list of sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.model import Value


def by_sensor(
    chips: Mapping[str, Sequence[Any]], row: Callable[[Any], dict[str, Value]]
) -> dict[str, dict[str, Value]]:
    """A row for each sensor, by a name of its own: its chip, its label, and a number if need be.

    psutil puts sensors of all chips of one name (two disks of the same make) into one list.
    """
    rows: dict[str, dict[str, Value]] = {}
    for chip, sensors in chips.items():
        for sensor in sensors:
            rows[_free(f"{chip} {sensor.label}".strip(), rows)] = row(sensor)
    return rows


def _free(name: str, taken: Mapping[str, object]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free
