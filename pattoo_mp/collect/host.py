"""What every series says of its host."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pattoo_mp.model import Pair


def metadata(hostname: str, cpus: int | None) -> tuple[Pair, ...]:
    """The metadata of the host, in the order that the original agent's checksums follow."""
    return (
        ("release", platform.release()),
        ("version", platform.version()),
        ("processor", platform.processor()),
        ("type", platform.system()),
        ("cpus", str(cpus)),
        ("hostname", hostname),
    )


def cpus() -> int | None:
    """Logical processors now; a virtual host may gain or lose some while it runs."""
    return psutil.cpu_count()
