"""The spool as the posting sees it: while its disk takes nothing, what is in it is sent all the same.

For each post the spool notes two things: a time for its envelope before, and that it may forget the
polls after. What it cannot note is remembered here until it can. If the process ends before that,
the next one sends these polls once more, which does no harm.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.spool.store import StorageError
from pattoo_mp.upload.post import MAX_POLLS, BatchLimit, Encode, Post, first_post

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.model import Layout
    from pattoo_mp.spool.store import Spool, Spooled

_LOG = logging.getLogger(__name__)

#: Of more polls than these it is not remembered that they were sent: all are read for each post.
_MOST: Final = 10_000


class Outbox:
    """What is to be posted of a spool. For one thread.

    `trouble` says what the spool could not note since it was last set to nothing. Methods may raise
    one of `StorageError` where a post cannot be made without the disk.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.trouble = ""
        #: The server has all polls up to this id, so many, and the spool does not know it.
        self._sent_id = 0
        self._sent = 0
        self._envelope_ms = 0

    @property
    def waiting(self) -> int:
        """How many polls are in the spool, those included that it is still to forget."""
        return self._spool.waiting

    @property
    def has_layouts(self) -> bool:
        """Whether layouts were given to the spool since it was opened."""
        return self._spool.has_layouts

    def layout(self, identifier: str) -> Layout:
        """A layout of a poll. Raises `WireError` if it cannot be read."""
        return self._spool.layout(identifier)

    def oldest(self, limit: int) -> list[Spooled]:
        """The oldest polls that the server does not have, at most `limit`.

        Where all that is left is to note what was sent, an error of that is raised.
        """
        failed = self._note() if self._sent else None
        if failed is not None and self._sent >= _MOST:
            raise failed
        found = self._spool.oldest(self._sent + limit)
        left = [spooled for spooled in found if spooled.id > self._sent_id]
        if failed is not None and not left:
            raise failed
        return left

    def sent(self, last_id: int, polls: int) -> int:
        """The server has so many polls more, up to `last_id`: the spool is to forget them.

        Returns how many the server has of them, whether that could be noted or not.
        """
        self._sent_id, self._sent = last_id, self._sent + polls
        self._note()
        return polls

    def set_aside(self, poll_id: int, reason: str) -> None:
        """Move one poll into quarantine."""
        self._spool.set_aside(poll_id, reason)

    def next_envelope_ms(self, now_ms: int) -> int:
        """A time for a post, later than each before; across restarts, too, where it can be noted."""
        least_ms = self._envelope_ms + 1
        try:
            given = self._spool.next_envelope_ms(max(now_ms, least_ms))
            if given < least_ms:  # kept by a commit, while later ones went out that were not noted
                given = self._spool.next_envelope_ms(max(now_ms, least_ms))
        except StorageError as error:
            self._failed(error)
            given = max(now_ms, least_ms, self._spool.state.envelope_ms + 1)
        self._envelope_ms = given
        return given

    def _note(self) -> Exception | None:
        """Have the spool forget what was sent; the error, if it cannot."""
        try:
            self._spool.acknowledge(self._sent_id)
        except StorageError as error:
            self._failed(error)
            return error
        self._sent_id = self._sent = 0
        return None

    def _failed(self, error: Exception) -> None:
        self.trouble = f"the spool: {error}"


# Posts of the polls in the spool.

#: So many polls are read for the first post.
_FIRST_READ: Final = 100
#: Fewer are not worth the saving: so many of 8,000 series are 1 MB.
_LEAST_READ: Final = 20


class SpooledPosts:
    """A source of posts. `envelope_ms` gives each its time, `encode` its body."""

    def __init__(self, outbox: Outbox, envelope_ms: Callable[[], int], encode: Encode) -> None:
        self._outbox = outbox
        self._envelope_ms = envelope_ms
        self._encode = encode
        self.batch_limit = BatchLimit()
        self._read = _FIRST_READ

    @property
    def waiting(self) -> int:
        """How many polls are in the spool."""
        return self._outbox.waiting

    def oldest(self) -> Post | None:
        """The post of the oldest polls; what cannot be read is set aside.

        A layout that is damaged in the spool most often comes again with the next poll, for a host
        changes rarely. So nothing is set aside before that.
        """
        try:
            most = min(self.batch_limit.polls, self._read)
            polls = first_post(self._outbox.oldest(most), self._outbox.layout)
            # Of large polls few fit, and all that were read are in memory.
            self._read = max(_LEAST_READ, 2 * len(polls))
            return self._post(polls) if polls else None
        except WireError as error:
            if not self._outbox.has_layouts:
                raise OSError(f"{error}; the next poll may bring what is missing") from error
            if not self._set_aside_unreadable():
                # Damage was found, and another file is in the place of the one that was read.
                raise OSError(f"its polls have changed: {error}") from error
            return None

    def _post(self, polls: list[Spooled]) -> Post:
        layouts = {s.poll.layout_id: self._outbox.layout(s.poll.layout_id) for s in polls}
        body = self._encode(layouts, [s.poll for s in polls], self._envelope_ms())
        first = polls[0]
        return Post(
            agent_id=layouts[first.poll.layout_id].origin.agent_id,
            body=body,
            polls=len(polls),
            head=f"the poll of {first.poll.timestamp_ms} ms (number {first.id})",
            accepted=partial(self._outbox.sent, polls[-1].id, len(polls)),
            set_aside=partial(self._outbox.set_aside, first.id),
            span_s=_span_s(layouts, polls),
        )

    def _set_aside_unreadable(self) -> int:
        """Move what no release can read out of the way of all that comes after it."""
        moved = 0
        for spooled in self._outbox.oldest(MAX_POLLS):
            try:
                layout = self._outbox.layout(spooled.poll.layout_id)
                self._encode({layout.identifier: layout}, [spooled.poll], 0)
            except WireError as error:
                _LOG.error("The poll of %d ms is set aside: %s", spooled.poll.timestamp_ms, error)
                self._outbox.set_aside(spooled.id, str(error))
                moved += 1
        return moved


def _span_s(layouts: Mapping[str, Layout], polls: Sequence[Spooled]) -> float:
    """The time from the first poll to the one that comes after the last."""
    first, last = polls[0].poll, polls[-1].poll
    interval_ms = layouts[last.layout_id].interval_ms
    return (max(0, last.timestamp_ms - first.timestamp_ms) + interval_ms) / 1000
