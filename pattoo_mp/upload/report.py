"""What the uploader reports to control before it can post.

Control lets the collector poll as soon as it knows the spool's account, and importing `requests`
takes a fifth of a second. So nothing here imports it.
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

#: Control takes a worker for hung after a minute without a message.
_EVERY_S: Final = 1.0
#: How many groups of spokes a message has.
_GROUPS: Final = 1000


class Progress:
    """Reports progress on a large spool to control when called, at most once in `every_s`.

    Raises `LinkClosedError` if control is gone, since going on would keep the next agent from
    starting. With `holds_polls` set it does not raise: the work must go on, or those polls would be
    lost.
    """

    def __init__(self, link: Link, every_s: float = _EVERY_S) -> None:
        self._link = link
        self._every_s = every_s
        self._next_at = 0.0
        #: Whether this process may hold polls that exist nowhere else.
        self.holds_polls = False

    def __call__(self) -> None:
        """Report progress: nothing more is committed yet, but the uploader is alive."""
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + self._every_s
            try:
                self._link.send(Kind.KEPT, 0)
            except LinkClosedError:
                if not self.holds_polls:
                    raise


def send_account(link: Link, spool: Spool, channel: str) -> None:
    """Send control the spool's account, with nothing posted yet, if the spool is open."""
    if not spool.account_loaded:
        return
    account = spool.state.of_channel(channel)
    with contextlib.suppress(LinkClosedError):  # the next `receive` finds out
        send_groups(link, spool)
        for output in account.outputs:
            link.send(Kind.UPLOAD, output, UploadState().fields(), account.fields())


def send_groups(link: Link, spool: Spool) -> None:
    """Send control what a hub's spool knows of its spokes: before the account, which lets it begin."""
    groups = list(spool.groups.items())
    for first in range(0, len(groups), _GROUPS):
        link.send(Kind.GROUPS, dict(groups[first : first + _GROUPS]))


def spool_limits(config: Config) -> Limits:
    """Return the limits of the spool from the settings."""
    return Limits(config.spool_max_bytes, config.spool_max_age, config.spool_min_free_bytes)
