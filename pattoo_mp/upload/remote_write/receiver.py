"""What is known of a receiver: what it was sent, what it may have, and what it refuses."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from pattoo_mp.upload.post import MAX_POLLS
from pattoo_mp.upload.remote_write.message import request
from pattoo_mp.upload.remote_write.samples import Batch, Encoder, some
from pattoo_mp.upload.remote_write.transport import compressed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.model import Layout, Poll
    from pattoo_mp.spool.store import Spooled
    from pattoo_mp.upload.remote_write.message import Block
    from pattoo_mp.upload.remote_write.naming import Naming

_LOG = logging.getLogger(__name__)

#: So many reasons are counted apart. A receiver may name the sample, so each answer may have other words.
_MOST_REASONS: Final = 20
_OTHER_REASONS: Final = "other reasons"
#: Metadata, and what was refused, is sent or logged once in so many seconds.
_HOUR_S: Final = 3600.0


class Receiver:
    """What is known of an output's receiver. For one thread."""

    def __init__(
        self, naming: Naming, url: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.encoder = Encoder(naming)
        self._clock = clock
        #: Polls up to this id were sent before, in a request whose answer was lost.
        self._unanswered_id = 0
        #: Polls up to this id may have been sent by the process before this one.
        self._others_id = 0
        #: How many polls were taken to be delivered because the receiver has later ones.
        self.presumed = 0
        #: Series that were refused where others were not. They go in requests of their own.
        self.suspects: set[bytes] = set()
        #: Whether probes are refused as they should be, so that nothing of them is stored.
        self.can_probe = True
        #: Info samples up to this time (ms) are not sent any more: a later one was stored.
        self.info_after_ms = 0
        self.refusals = Refusals(url, clock)
        self._metadata_due = self._clock()

    def body(self, layouts: Mapping[str, Layout], polls: Sequence[Poll], _: int = 0) -> bytes:
        """Return the body of a request, without the suspects. Raises `WireError`."""
        batch = Batch(polls, layouts)
        message = request(self.blocks(batch))
        if self._clock() >= self._metadata_due:
            message += self.encoder.metadata(batch)
        return compressed(message)

    def blocks(self, batch: Batch) -> list[Block]:
        """Return the samples of a batch without those of suspects."""
        blocks = self.encoder.blocks(batch, info_after_ms=self.info_after_ms)
        return some(blocks, self.suspects, others=True) if self.suspects else blocks

    def blocks_of_suspects(self, batch: Batch) -> list[Block]:
        """Return the samples of the suspects."""
        return some(self.encoder.blocks(batch), self.suspects)

    def note_sent(self, batch: Batch) -> None:
        """Note that the receiver has a batch."""
        self.encoder.note_sent(batch)
        if self._clock() >= self._metadata_due:
            self._metadata_due = self._clock() + _HOUR_S

    def begin(self, first_id: int) -> None:
        """Note the id of the first poll of a request: the process before may have sent it."""
        self._others_id = self._others_id or first_id + MAX_POLLS - 1

    def note_no_answer(self, last_id: int) -> None:
        """Note that the answer to a request, up to the poll of this id, was lost."""
        self._unanswered_id = last_id

    def sent(self, polls: Sequence[Spooled], *, by_others: bool = False) -> int:
        """Return how many of these polls, from the first on, were sent before without an answer.

        With `by_others`, count also those that the process before may have sent.
        """
        last_id = max(self._unanswered_id, self._others_id if by_others else 0)
        return sum(spooled.id <= last_id for spooled in polls)


class Refusals:
    """Counts the refused samples of polls that were delivered, and logs them once an hour."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._due = clock()
        self._since: Counter[str] = Counter()
        #: All refused samples, by the receiver's words.
        self.samples: Counter[str] = Counter()

    def note(self, reason: str, samples: int) -> None:
        """Count refused samples."""
        if reason not in self.samples and len(self.samples) >= _MOST_REASONS:
            reason = _OTHER_REASONS
        self.samples[reason] += samples
        self._since[reason] += samples
        if self._clock() >= self._due:
            self._due = self._clock() + _HOUR_S
            counts = "; ".join(f"at least {n} ({words})" for words, n in self._since.items())
            _LOG.warning(
                "%s refused single samples, and has the others of their polls: %s. These lines come "
                "once an hour.",
                self._url,
                counts,
            )
            self._since.clear()
