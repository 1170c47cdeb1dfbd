"""How many polls the next post may hold, and when a single one has been refused for good.

A pure decision: a refused post is followed by one of half its polls, down to one, so that a poll
that the server cannot take is found in a few steps; each post that is taken doubles the number
again, but not up to what was too large a little while ago: a proxy's limit would refuse every other
post of a backlog. Only what happened while the server was well is noted here.
"""

from __future__ import annotations

from typing import Final

from pattoo_mp.upload.batch import POLLS

#: A poll that was refused so often, alone and in a row, is not refused by chance.
ATTEMPTS: Final = 3

#: After so many posts that were taken, the number that was too large is tried again: polls may have
#: become smaller, or the limit larger.
REMEMBERED: Final = 50


class Window:
    """The number of polls for the next post; at most `largest`."""

    def __init__(self, largest: int = POLLS) -> None:
        self._largest = largest
        self._polls = largest
        self._too_large = largest + 1
        self._taken = 0
        self._head = ""
        self._refusals = 0

    @property
    def polls(self) -> int:
        """How many polls the next post may hold."""
        return self._polls

    def taken(self) -> None:
        """Note that a post was taken."""
        self._taken += 1
        if self._taken >= REMEMBERED:
            self._too_large = self._largest + 1
        larger = min(self._largest, self._polls * 2)
        if larger < self._too_large:
            self._polls = larger
        self._refusals = 0

    def too_large(self, polls: int) -> None:
        """Note that a post of so many polls, more than one, was refused for its size alone."""
        self._polls = max(1, polls // 2)
        self._too_large = polls
        self._taken = 0

    def refused(self, polls: int, head: str) -> bool:
        """Note that a post of so many polls, beginning with `head`, was refused.

        Returns whether `head` was refused alone, `ATTEMPTS` times in a row.
        """
        self._polls = max(1, polls // 2)
        if polls > 1:
            return False
        # It is this poll then, and not their number.
        self._too_large = self._largest + 1
        self._refusals = self._refusals + 1 if head == self._head else 1
        self._head = head
        return self._refusals >= ATTEMPTS

    def acquit(self) -> None:
        """Forget the refusals of the head: it was the server's fault."""
        self._refusals = 0
