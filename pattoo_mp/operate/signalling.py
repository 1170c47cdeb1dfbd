"""Signals to a control process that is not our child."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pattoo_mp.errors import PattooError
from pattoo_mp.util.files import not_ours

if TYPE_CHECKING:
    import signal


def send(pid: int, *numbers: signal.Signals, to_group: bool = False) -> None:
    """Signal the process `pid`, or all of the group that it leads, if it leads one.

    One that is gone is no error. Raises `PattooError` if it is not ours to signal.
    """
    try:
        target = -pid if to_group and os.getpgid(pid) == pid else pid
        for number in numbers:
            os.kill(target, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise PattooError(
            f"process {pid}: we may not signal it{not_ours(pid)}; expected its user or root"
        ) from error
