"""What an uploader reports before it can post.

Control lets the collector poll as soon as it knows the spool's account, and `requests` takes a fifth
of a second to import. So nothing here imports it.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind, UploadState
from pattoo_mp.spool.limits import Limits

if TYPE_CHECKING:
    from pattoo_mp.config.values import Config
    from pattoo_mp.ipc.link import Link
    from pattoo_mp.spool.store import Spool

#: Control takes a silence of a minute for a worker that hangs.
_EVERY_S: Final = 1.0


class Progress:
    """Tells control, when called, that the work on a large spool goes on; once in `every_s` at most.

    Raises `LinkClosedError` if control is gone: to go on would keep the next agent from starting. But
    one that `holds_polls` has to go on, or they would be lost.
    """

    def __init__(self, link: Link, every_s: float = _EVERY_S) -> None:
        self._link = link
        self._every_s = every_s
        self._next_at = 0.0
        #: Whether there may be polls that nobody else has.
        self.holds_polls = False

    def __call__(self) -> None:
        """Say that nothing more is kept yet, and that somebody is at it."""
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + self._every_s
            try:
                self._link.send(Kind.KEPT, 0)
            except LinkClosedError:
                if not self.holds_polls:
                    raise


def send_account(link: Link, spool: Spool, channel: str) -> None:
    """Tell control the account, with nothing posted yet; nothing of a spool that is not open yet."""
    if not spool.is_known:
        return
    account = spool.state.of_channel(channel)
    with contextlib.suppress(LinkClosedError):  # who listens next learns it
        link.send(Kind.UPLOAD, UploadState().fields(), account.fields())


def spool_limits(config: Config) -> Limits:
    """The limits of the spool."""
    return Limits(config.spool_max_bytes, config.spool_max_age, config.spool_min_free_bytes)
