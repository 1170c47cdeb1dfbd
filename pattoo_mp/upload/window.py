"""How many polls the next post may hold, and when a single one has been refused for good.

A pure decision: a refused post is followed by one of half its polls, down to one, so that a poll
that the server cannot take is found in a few steps; each post that is taken doubles the number
again, but not up to what was too large a little while ago: a proxy's limit would refuse every other
post of a backlog. A refusal is noted here only if the server was well.

A post that was late is followed by one of half its polls, too: on a slow way, or to a slow server, a
backlog would never go out otherwise. But where a server hangs no post is small enough. So a number
that was late is remembered for no more posts than it has polls: what it came down to while the server
hung is forgotten soon, and a large number, which costs half a minute to try in vain, seldom tried.
"""

from __future__ import annotations

from typing import Final

from pattoo_mp.upload.batch import POLLS

#: A poll that was refused so often, alone and in a row, is not refused by chance.
ATTEMPTS: Final = 3

#: After so many posts that were taken, the number that was too large is tried again: polls may have
#: become smaller, or the limit larger; or the way quicker.
REMEMBERED: Final = 50


class Window:
    """The number of polls for the next post; at most `largest`."""

    def __init__(self, largest: int = POLLS) -> None:
        self._largest = largest
        self._polls = largest
        self._too_large = largest + 1
        self._remembered = REMEMBERED
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
        if self._taken >= self._remembered:
            self._too_large = self._largest + 1
        larger = min(self._largest, self._polls * 2)
        if larger < self._too_large:
            self._polls = larger
        self._refusals = 0

    def too_large(self, polls: int) -> None:
        """Note that a post of so many polls, more than one, was refused for its size alone."""
        self._stay_below(polls, REMEMBERED)

    def late(self, polls: int) -> None:
        """Note that a post of so many polls, more than one, was not answered in time."""
        self._stay_below(polls, min(REMEMBERED, polls))

    def _stay_below(self, polls: int, remembered: int) -> None:
        """Hold no more than half of so many; and fewer than that until so many posts were taken."""
        self._polls = max(1, polls // 2)
        self._too_large, self._remembered = polls, remembered
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
