"""Posts made from the polls in the spool, even while its disk accepts no writes.

Each post needs two writes to the spool: the time of its envelope before it, and an acknowledgement
of its polls after it. What cannot be written is remembered here until it can; the time also in the copy
of the account. If the process ends before that, the next one sends these polls again, with later times,
which does no harm.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import takewhile
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from pattoo_mp.errors import WireError
from pattoo_mp.spool.store import StorageError
from pattoo_mp.upload.post import (
    MAX_DATAPOINTS,
    MAX_POLLS,
    BatchLimit,
    Encode,
    Post,
    first_post,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.model import Layout, Poll
    from pattoo_mp.spool.store import Spool, Spooled

_LOG = logging.getLogger(__name__)

#: At most so many sent polls are remembered, since all of them are read again for each post.
_MAX_REMEMBERED: Final = 10_000


class Outbox:
    """The polls of a spool that one output does not have yet. For one thread.

    `trouble` is the last failure to write to the spool; the caller resets it. Methods may raise
    one of `StorageError` if a post cannot be made without writing to the disk.
    """

    def __init__(self, spool: Spool, output: str) -> None:
        self._spool = spool
        self.output = output
        self.trouble = ""
        #: The server has `_sent` polls, up to this id, that the spool has not yet been able to
        #: drop.
        self._sent_id = 0
        self._sent = 0

    @property
    def waiting(self) -> int:
        """How many polls are in the spool, including sent ones that it could not drop yet."""
        return self._spool.account(self.output).waiting

    @property
    def has_layouts(self) -> bool:
        """Whether the spool has received layouts since it was opened."""
        return self._spool.has_layouts

    def layout(self, identifier: str) -> Layout:
        """Return the layout of a poll. Raises `WireError` if it cannot be read."""
        return self._spool.layout(identifier)

    def oldest(self, limit: int) -> list[Spooled]:
        """Return the oldest polls that the server does not have, at most `limit`.

        If nothing is left to send and sent polls cannot be acknowledged, that error is raised.
        """
        failed = self._acknowledge() if self._sent else None
        if failed is not None and self._sent >= _MAX_REMEMBERED:
            raise failed
        found = self._spool.oldest(self.output, self._sent + limit)
        left = [spooled for spooled in found if spooled.id > self._sent_id]
        if failed is not None and not left:
            raise failed
        return left

    def sent(self, last_id: int, polls: int) -> int:
        """Acknowledge `polls` more polls, up to `last_id`, so that the spool drops them.

        Return `polls`, whether or not that could be written.
        """
        self._sent_id, self._sent = last_id, self._sent + polls
        self._acknowledge()
        return polls

    def drop(self, last_id: int, reason: str) -> int:
        """Give up the polls up to `last_id`, which the server will never take; return how many."""
        failed = self._acknowledge() if self._sent else None
        if failed is not None:
            raise failed
        return self._spool.drop(self.output, last_id, reason)

    def take_back(self, polls: int, reason: str) -> None:
        """Count polls as dropped that were taken to be delivered, and are not."""
        self._spool.take_back(self.output, polls, reason)

    def set_aside(self, poll_id: int, reason: str) -> None:
        """Move the oldest poll, which the server refuses, into quarantine."""
        self._spool.set_aside(self.output, poll_id, reason)

    def set_aside_unreadable(self, poll_id: int, reason: str) -> None:
        """Move a poll that no output can read into quarantine."""
        self._spool.set_aside_unreadable(poll_id, reason)

    def next_envelope_ms(self, now_ms: int) -> int:
        """Return an envelope time later than all earlier ones, across restarts if it can be written."""
        try:
            return self._spool.next_envelope_ms(self.output, now_ms)
        except StorageError as error:
            self._failed(error)
        given = max(now_ms, self._spool.account(self.output).envelope_ms + 1)
        self._spool.note_envelope_ms(self.output, given)
        return given

    def _acknowledge(self) -> Exception | None:
        """Make the spool drop the sent polls. Return the error if that fails."""
        try:
            self._spool.acknowledge(self.output, self._sent_id)
        except StorageError as error:
            self._failed(error)
            return error
        self._sent_id = self._sent = 0
        return None

    def _failed(self, error: Exception) -> None:
        self.trouble = f"the spool: {error}"


#: How many polls are read for the first post.
_FIRST_READ: Final = 100
#: Reading fewer would save too little memory: so many polls of 8,000 series take 1 MB.
_LEAST_READ: Final = 20


class Selection(Protocol):
    """The part of the polls that an output gets."""

    def layout(self, layout: Layout) -> Layout:
        """Return the layout of that part; it may have no series."""

    def poll(self, layout: Layout, poll: Poll) -> Poll:
        """Return that part of a poll of `layout`. Raises `WireError` if it does not fit that."""


class SpooledPosts:
    """The spool as a source of posts. `envelope_ms` makes the time of each, `encode` its body.

    A post has at most `datapoints`, and only polls up to the time `until_ms` (ms since the epoch). With a
    `selection`, posts hold only that part of the polls; a poll of which nothing is left counts as
    delivered without a post. `one_origin` is as for `first_post`.
    """

    def __init__(
        self,
        outbox: Outbox,
        envelope_ms: Callable[[], int],
        encode: Encode,
        datapoints: int = MAX_DATAPOINTS,
        until_ms: Callable[[], float] = lambda: inf,
        *,
        selection: Selection | None = None,
        one_origin: bool = True,
    ) -> None:
        self._one_origin = one_origin
        self._selection = selection
        self._outbox = outbox
        self._envelope_ms = envelope_ms
        self._encode = encode
        self._datapoints = datapoints
        self._until_ms = until_ms
        #: The time of the oldest poll that was read and may not be sent yet (ms since the epoch), or 0.
        self.ahead_ms = 0
        self.batch_limit = BatchLimit()
        self._read = _FIRST_READ

    @property
    def waiting(self) -> int:
        """How many polls are in the spool."""
        return self._outbox.waiting

    @property
    def in_turn(self) -> bool:
        """Whether the next post follows the last one at once: each has all that fits."""
        return False

    def oldest(self) -> Post | None:
        """Return the post of the oldest polls. Unreadable polls are moved to quarantine.

        A layout that is damaged in the spool usually arrives again with the next poll, since a host
        rarely changes. So nothing is moved before that.
        """
        try:
            most = min(self.batch_limit.polls, self._read)
            found = self._wanted(self._outbox.oldest(most))
            polls = self._timely(
                first_post(found, self._layout, self._datapoints, one_origin=self._one_origin)
            )
            if len(polls) < len(found) or most == self._read:
                # If polls are large, few fit; do not keep many more of them in memory.
                self._read = max(_LEAST_READ, 2 * len(polls))
            return self._post(polls) if polls else None
        except WireError as error:
            if not self._outbox.has_layouts:
                raise OSError(f"{error}; the next poll may bring what is missing") from error
            if not self._set_aside_unreadable():
                # The spool found damage and replaced the file that these polls were read from.
                raise OSError(f"its polls have changed: {error}") from error
            return None

    def single(self, number: int) -> Post | None:
        """Return the post of one poll only, the one after `number` older ones. None if it cannot be."""
        found = self._outbox.oldest(number + 1)[number:]
        try:
            is_wanted = found and self._layout(found[0].poll.layout_id).series
            return self._post(found) if is_wanted else None
        except WireError:
            return None

    def _layout(self, identifier: str) -> Layout:
        """Return the layout of a poll, as far as the output gets it."""
        layout = self._outbox.layout(identifier)
        return layout if self._selection is None else self._selection.layout(layout)

    def _wanted(self, found: list[Spooled]) -> list[Spooled]:
        """Leave out polls at the beginning that have nothing for the output: they are delivered."""
        if self._selection is None:
            return found
        empty = 0
        while empty < len(found) and not self._layout(found[empty].poll.layout_id).series:
            empty += 1
        if empty:
            self._outbox.sent(found[empty - 1].id, empty)
        return found[empty:]

    def _body(self, layouts: Mapping[str, Layout], polls: list[Poll]) -> bytes:
        if self._selection is None:
            return self._encode(layouts, polls, self._envelope_ms())
        selected = [
            self._selection.poll(self._outbox.layout(poll.layout_id), poll)
            for poll in polls
            if layouts[poll.layout_id].series
        ]
        by_identifier = {layout.identifier: layout for layout in layouts.values()}
        return self._encode(by_identifier, selected, self._envelope_ms())

    def _post(self, polls: list[Spooled]) -> Post:
        layouts = {s.poll.layout_id: self._layout(s.poll.layout_id) for s in polls}
        body = self._body(layouts, [s.poll for s in polls])
        first = polls[0]
        return Post(
            agent_id=layouts[first.poll.layout_id].origin.agent_id,
            body=body,
            polls=len(polls),
            head=f"the poll of {first.poll.timestamp_ms} ms (number {first.id})",
            accepted=partial(self._outbox.sent, polls[-1].id, len(polls)),
            set_aside=partial(self._outbox.set_aside, first.id),
            span_s=_span_s(layouts, polls),
            spooled=polls,
            layouts=layouts,
        )

    def _timely(self, polls: list[Spooled]) -> list[Spooled]:
        """Return the polls before the first one that may not be sent yet."""
        until_ms = self._until_ms()
        timely = list(takewhile(lambda spooled: spooled.poll.timestamp_ms <= until_ms, polls))
        held = polls[len(timely) :]
        self.ahead_ms = held[0].poll.timestamp_ms if held else 0
        return timely

    def _set_aside_unreadable(self) -> int:
        """Move all unreadable polls to quarantine, so that they do not block the later ones."""
        moved = 0
        for spooled in self._outbox.oldest(MAX_POLLS):
            try:
                layout = self._outbox.layout(spooled.poll.layout_id)
                self._encode({layout.identifier: layout}, [spooled.poll], 0)
            except WireError as error:
                _LOG.error(
                    "Unreadable poll of %d ms moved to quarantine: %s",
                    spooled.poll.timestamp_ms,
                    error,
                )
                self._outbox.set_aside_unreadable(spooled.id, str(error))
                moved += 1
        return moved


def _span_s(layouts: Mapping[str, Layout], polls: Sequence[Spooled]) -> float:
    """Return the time from the first poll to the one after the last."""
    first, last = polls[0].poll, polls[-1].poll
    interval_ms = layouts[last.layout_id].interval_ms
    return (max(0, last.timestamp_ms - first.timestamp_ms) + interval_ms) / 1000
