"""The spool as the posting sees it: while its disk takes nothing, what is in it is sent all the same.

For each post the spool notes two things: a time for its envelope before, and that it may forget the
polls after. What it cannot note is remembered here until it can. If the process ends before that,
the next one sends these polls once more, which does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.spool.store import StorageError

if TYPE_CHECKING:
    from pattoo_mp.model import Layout
    from pattoo_mp.spool.store import Spool, Spooled

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
