"""Posts of the polls in the spool."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.upload.batch import POLLS, first_post
from pattoo_mp.upload.post import Post
from pattoo_mp.upload.window import Window
from pattoo_mp.wire.encode import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.model import Layout
    from pattoo_mp.spool.store import Spooled
    from pattoo_mp.upload.outbox import Outbox

_LOG = logging.getLogger(__name__)

#: So many polls are read for the first post.
_FIRST_READ: Final = 100
#: Fewer are not worth the saving: so many of 8,000 series are 1 MB.
_LEAST_READ: Final = 20


class SpooledPosts:
    """A source of posts. `envelope_ms` gives each its time."""

    def __init__(self, outbox: Outbox, envelope_ms: Callable[[], int]) -> None:
        self._outbox = outbox
        self._envelope_ms = envelope_ms
        self.window = Window()
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
            most = min(self.window.polls, self._read)
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
        body = encode(layouts, [s.poll for s in polls], self._envelope_ms())
        first = polls[0]
        return Post(
            agent_id=layouts[first.poll.layout_id].origin.agent_id,
            body=body,
            polls=len(polls),
            head=f"the poll of {first.poll.timestamp_ms} ms (number {first.id})",
            taken=partial(self._outbox.sent, polls[-1].id, len(polls)),
            set_aside=partial(self._outbox.set_aside, first.id),
            polled_in_s=_polled_in_s(layouts, polls),
        )

    def _set_aside_unreadable(self) -> int:
        """Move what no release can read out of the way of all that comes after it."""
        moved = 0
        for spooled in self._outbox.oldest(POLLS):
            try:
                layout = self._outbox.layout(spooled.poll.layout_id)
                encode({layout.identifier: layout}, [spooled.poll], 0)
            except WireError as error:
                _LOG.error("The poll of %d ms is set aside: %s", spooled.poll.timestamp_ms, error)
                self._outbox.set_aside(spooled.id, str(error))
                moved += 1
        return moved


def _polled_in_s(layouts: Mapping[str, Layout], polls: Sequence[Spooled]) -> float:
    """The time from the first poll to the one that comes after the last."""
    first, last = polls[0].poll, polls[-1].poll
    interval_ms = layouts[last.layout_id].interval_ms
    return (max(0, last.timestamp_ms - first.timestamp_ms) + interval_ms) / 1000
