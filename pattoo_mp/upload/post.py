"""A post, and where posts come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from pattoo_mp.model import Layout, Poll
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from pattoo_mp.spool.store import Spooled


@dataclass(frozen=True, slots=True)
class Post:
    """One body for the server, and what to do when its fate is known.

    `head` names the oldest poll in it, for a log; `taken` forgets what the server has, and
    returns how many of the spool's polls that were; `set_aside` moves a post of one poll away. It
    took `span_s` to poll what is in it, as far as that is known.
    """

    agent_id: str
    body: bytes
    polls: int
    head: str
    accepted: Callable[[], int]
    set_aside: Callable[[str], None]
    span_s: float = inf


#: Makes the body of a post: of layouts by their identifiers, polls, and the time of its envelope (ms).
#: Raises `WireError` for what cannot be sent.
Encode = Callable[[Mapping[str, Layout], Sequence[Poll], int], bytes]


class Source(Protocol):
    """What has posts to send, oldest first."""

    @property
    def batch_limit(self) -> BatchLimit:
        """How many polls its next post may hold."""

    @property
    def waiting(self) -> int:
        """How much there is to send."""

    def oldest(self) -> Post | None:
        """Make the next post; none if nothing is left that could be sent."""


# Which polls go into the next post: the oldest, as many as one post may hold.

#: About 1 MB of JSON: a large enough bite to catch up with, and small enough to hold in memory.
MAX_DATAPOINTS: Final = 10_000
#: No post holds more polls than this, however small they are.
MAX_POLLS: Final = 1_000


def first_post(
    polls: Sequence[Spooled],
    layout: Callable[[str], Layout],
    datapoints: int = MAX_DATAPOINTS,
) -> list[Spooled]:
    """The polls of the next post, in order: at least one, if there are any.

    All are of one agent, host and program, since a post says once whose it is. It says its interval
    once, too, but the server never reads that: its ingester (`cache_to_keypairs` in PattooShared's
    `converter.py`, release 0.0.98) takes it from the pairs of each datapoint. So polls of different
    intervals share a post. A poll that is larger than a post may be goes alone.
    """
    chosen: list[Spooled] = []
    room = datapoints
    for spooled in polls:
        this = layout(spooled.poll.layout_id)
        room -= len(this.series)
        if chosen:
            first = layout(chosen[0].poll.layout_id)
            if first.origin != this.origin or room < 0:
                break
        chosen.append(spooled)
    return chosen


# How many polls the next post may hold, and when a single one has been refused for good.
#
# A pure decision: a refused post is followed by one of half its polls, down to one, so that a poll
# that the server cannot take is found in a few steps; each post that is taken doubles the number
# again, but not up to what was too large a little while ago: a proxy's limit would refuse every other
# post of a backlog. A refusal is noted here only if the server was well.
#
# A post that was late is followed by one of half its polls, too: on a slow way, or to a slow server, a
# backlog would never go out otherwise. But where a server hangs no post is small enough. So a number
# that was late is remembered for no more posts than it has polls: what it came down to while the server
# hung is forgotten soon, and a large number, which costs half a minute to try in vain, seldom tried.


#: A poll that was refused so often, alone and in a row, is not refused by chance.
MAX_REFUSALS: Final = 3

#: After so many posts that were taken, the number that was too large is tried again: polls may have
#: become smaller, or the limit larger; or the way quicker.
REMEMBERED_POSTS: Final = 50


class BatchLimit:
    """The number of polls for the next post; at most `largest`."""

    def __init__(self, largest: int = MAX_POLLS) -> None:
        self._largest = largest
        self._polls = largest
        self._too_large = largest + 1
        self._remembered = REMEMBERED_POSTS
        self._taken = 0
        self._head = ""
        self._refusals = 0

    @property
    def polls(self) -> int:
        """How many polls the next post may hold."""
        return self._polls

    def accepted(self) -> None:
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
        self._stay_below(polls, REMEMBERED_POSTS)

    def late(self, polls: int) -> None:
        """Note that a post of so many polls, more than one, was not answered in time."""
        self._stay_below(polls, min(REMEMBERED_POSTS, polls))

    def _stay_below(self, polls: int, remembered: int) -> None:
        """Hold no more than half of so many; and fewer than that until so many posts were taken."""
        self._polls = max(1, polls // 2)
        self._too_large, self._remembered = polls, remembered
        self._taken = 0

    def refused(self, polls: int, head: str) -> bool:
        """Note that a post of so many polls, beginning with `head`, was refused.

        Returns whether `head` was refused alone, `MAX_REFUSALS` times in a row.
        """
        self._polls = max(1, polls // 2)
        if polls > 1:
            return False
        # It is this poll then, and not their number.
        self._too_large = self._largest + 1
        self._refusals = self._refusals + 1 if head == self._head else 1
        self._head = head
        return self._refusals >= MAX_REFUSALS

    def reset_refusals(self) -> None:
        """Forget the refusals of the head: it was the server's fault."""
        self._refusals = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of an attempt: `error` and `trouble` are empty if it was not in vain.

    The one is what the server is at fault for, or the way to it, of the kind `fault`; the other what
    this host is.
    `polls` of the spool were delivered in `bytes_sent`, and there were `more` than the post could hold,
    which had taken `span_s` to poll.
    After a failure the next attempt comes after `wait_s` at the least.
    """

    error: str = ""
    polls: int = 0
    bytes_sent: int = 0
    more: bool = False
    span_s: float = inf
    wait_s: float = 0.0
    trouble: str = ""
    fault: Fault = Fault.UNREACHABLE

    @property
    def failed(self) -> bool:
        """Whether nothing was delivered."""
        return bool(self.error or self.trouble)
