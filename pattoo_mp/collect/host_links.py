"""The links of the host's network, from `/sys/class/net`: psutil asks for those of our own alone.

See Documentation/ABI/testing/sysfs-class-net of the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import kernel
from pattoo_mp.collect.host_paths import OWN

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.collect.host_paths import HostPaths
    from pattoo_mp.model import Value

#: From <linux/if.h>.
_IFF_UP: Final = 1
_DUPLEX: Final = {"full": 1, "half": 0}
#: A driver that does not tell is taken to be well; the loopback device is such a one.
_HAS_CARRIER: Final = ("up", "unknown")


def links(paths: HostPaths) -> dict[str, dict[str, Value]]:
    """The figures of each interface; None for what its driver does not tell.

    Raises `NotImplementedError` or `OSError` where there is nothing of the host's.
    """
    if paths.sysfs == OWN.sysfs:
        raise NotImplementedError(
            "sysfs_path is not set, and /sys tells of the agent's own network"
        )
    every = sorted((paths.sysfs / "class" / "net").iterdir())
    return {path.name: _row(path) for path in every if (path / "mtu").exists()}


def _row(link: Path) -> dict[str, Value]:
    flags, speed = _told(link / "flags"), _told(link / "speed")
    is_up = bool(int(flags or "0", 16) & _IFF_UP) and _told(link / "operstate") in _HAS_CARRIER
    return {
        "up": int(is_up),
        # 0 and -1 are said where there is none.
        "speed": int(speed) if speed.isdecimal() and int(speed) else None,
        "full_duplex": _DUPLEX.get(_told(link / "duplex")),
        "mtu": int(_told(link / "mtu")),
    }


def _told(path: Path) -> str:
    """A file's text; nothing where there is none, or the link is down and the driver refuses."""
    try:
        return kernel.text(path).strip()
    except OSError:
        return ""
