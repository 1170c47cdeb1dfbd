"""The host's power supplies: batteries, UPS, mains.

Reads `/sys/class/power_supply`, see Documentation/ABI/testing/sysfs-class-power in the kernel.
"""

from __future__ import annotations

from typing import Final

from pattoo_mp.collect import host
from pattoo_mp.collect.families._sysfs import attribute, entries, optional

_CLASS: Final = "class/power_supply"
_PREFIX: Final = "POWER_SUPPLY_"
_BATTERIES: Final = ("Battery", "UPS")


def supplies() -> list[str]:
    """Return the kernel's names of all power supplies, also of those of a mouse."""
    return entries(_CLASS)


def read_supply(name: str, *, battery: bool) -> dict[str, str] | None:
    """Return the texts of a power supply of the host, by the kernel's names without their prefix.

    None if it is of the other kind, or a device's own. Raises `OSError`, and `ValueError` if it
    does not say which kind it is.
    """
    directory = f"{host.SYS}/{_CLASS}/{name}"
    texts, error = _texts(directory)
    # Before Linux 5.5, `uevent` did not have the type.
    kind = texts.get("TYPE") or optional(f"{directory}/type")
    scope = texts.get("SCOPE") or optional(f"{directory}/scope")
    if scope == "Device" or (kind and (kind in _BATTERIES) != battery):
        return None
    if error is not None:
        raise error
    if not kind:
        raise ValueError("it does not report what kind of power supply it is")
    return texts


def _texts(directory: str) -> tuple[dict[str, str], OSError | None]:
    try:
        return parse(attribute(f"{directory}/uevent")), None
    except OSError as error:
        return {}, error


def parse(lines: str) -> dict[str, str]:
    r"""Return what each line says. A line without `=` is no error: a name may have more lines.

    >>> parse("POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_STATUS=Full\nodd\n")
    {'TYPE': 'Battery', 'STATUS': 'Full'}
    """
    pairs = (line.partition("=") for line in lines.split("\n"))
    return {
        name.removeprefix(_PREFIX): text.strip()
        for name, _, text in pairs
        if name.startswith(_PREFIX)
    }
