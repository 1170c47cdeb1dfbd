"""How long polls may lie unread in the link after a commit: pure.

Until the next commit there is nothing to do with them, and to be woken by each costs as much as to
keep it. They are as safe there: the kernel holds them for this process, whatever becomes of control.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.model import Poll

#: Half of what a socket takes before its other side has to wait (`net.core.wmem_default`).
_UNREAD_BYTES: Final = 100_000
#: What a message costs the kernel beside a poll's values.
_OVERHEAD_BYTES: Final = 1_000


def rest_s(kept: Sequence[Poll], commit_s: float) -> float:
    """Seconds to rest after a commit of what came since the one before, `commit_s` earlier.

    0 where polls come no faster than commits; less than `commit_s` where so many come that
    the link would fill up.
    """
    if len(kept) < 2:
        return 0.0
    size = sum(len(poll.packed) + _OVERHEAD_BYTES for poll in kept)
    return commit_s * min(1.0, _UNREAD_BYTES / size)
