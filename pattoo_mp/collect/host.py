"""What every series says of its host."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.table import Label

if TYPE_CHECKING:
    from pattoo_mp.model import Pair


#: In the order that the original agent's checksums follow.
LABELS: Final = (
    Label("release", "OS Release", "The kernel's release."),
    Label("version", "OS Version", "The kernel's build."),
    Label("processor", "Processor Type", "The kind of processor; empty where none is told."),
    Label("type", "OS Type", "The operating system, such as `Linux`."),
    Label("cpus", "OS CPU Count", "Logical processors."),
    Label("hostname", "Hostname", "The host's full name."),
)


def metadata(hostname: str, cpus: int | None) -> tuple[Pair, ...]:
    """The metadata of the host: a value for each of `LABELS`."""
    values = (
        platform.release(),
        platform.version(),
        platform.processor(),
        platform.system(),
        str(cpus),
        hostname,
    )
    return tuple((label.key, value) for label, value in zip(LABELS, values, strict=True))


def cpus() -> int | None:
    """Logical processors now; a virtual host may gain or lose some while it runs."""
    return psutil.cpu_count()
