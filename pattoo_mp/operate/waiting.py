"""Waits for what another process does, and for no longer than that may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pattoo_mp.ipc.messages import STOP_S

if TYPE_CHECKING:
    from collections.abc import Callable

#: For a stop, and for its end to be seen (s).
STOPPED_S: Final = STOP_S + 5.0
_LOOK_S: Final = 0.05


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` comes true within so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_S)
    return True
