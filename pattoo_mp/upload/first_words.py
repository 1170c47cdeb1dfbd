"""What an uploader says of its spool, and says first: before it knows how to post.

Control lets polls be made as soon as it knows the account, and `requests` takes a fifth of a second
to import.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pattoo_mp.link import LinkClosedError
from pattoo_mp.messages import Account, Kind, UploadState

if TYPE_CHECKING:
    from pattoo_mp.link import Link
    from pattoo_mp.spool.account import SpoolState
    from pattoo_mp.spool.store import Spool


def tell_account(link: Link, spool: Spool, channel: str) -> None:
    """Tell control the account, with nothing posted yet; nothing of a spool that is not open yet."""
    if not spool.is_known:
        return
    account = account_of(spool.state, channel)
    with contextlib.suppress(LinkClosedError):  # who listens next learns it
        link.send(Kind.UPLOAD, UploadState().fields(), account.fields())


def account_of(state: SpoolState, channel: str) -> Account:
    """The spool's account, with what it has of the channel of that name."""
    is_ours = state.channel == channel
    return Account(
        sequence=state.sequence if is_ours else 0,
        kept_of_channel=state.kept_of_channel if is_ours else 0,
        kept=state.kept,
        delivered=state.delivered,
        waiting=state.waiting,
        quarantined=state.quarantined,
        newest_ms=state.newest_ms,
        delivered_ms=state.delivered_ms,
        oldest_ms=state.oldest_ms,
        dropped_ms=state.dropped_ms,
        dropped=dict(state.dropped),
        commits=state.commits,
        envelope_ms=state.envelope_ms,
        acknowledged_id=state.acknowledged_id,
        book=state.book,
    )
