"""Network I/O, for each interface."""

from __future__ import annotations

import psutil

from pattoo_mp.collect.source import Devices
from pattoo_mp.model import COUNTER64

SOURCES = (
    Devices(
        "network_io",
        lambda: psutil.net_io_counters(pernic=True),
        "network_io_",
        COUNTER64,
        "network_io_interface",
    ),
)
