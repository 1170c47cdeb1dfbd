"""A post: its sources, which polls go into it, how many it may hold, and the result of an attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from pattoo_mp.model import Layout, Poll
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from pattoo_mp.spool.store import Spooled


@dataclass(frozen=True, slots=True)
class Post:
    """One body for the server, and what to do once the server has answered.

    `head` names its oldest poll, for the log. `accepted` forgets what the server now has, and
    returns how many of the spool's polls that were. `set_aside` moves a post of a single poll into
    quarantine. `span_s` is the time that its polls cover, if known. `spooled` are the polls, and
    `layouts` theirs by identifier, if it is of polls of the spool.
    """

    agent_id: str
    body: bytes
    polls: int
    head: str
    accepted: Callable[[], int]
    set_aside: Callable[[str], None]
    span_s: float = inf
    spooled: Sequence[Spooled] = ()
    layouts: Mapping[str, Layout] = field(default_factory=dict)


#: Makes the body of a post from layouts by identifier, polls, and the time of the envelope (ms).
#: Raises `WireError` for what cannot be sent.
Encode = Callable[[Mapping[str, Layout], Sequence[Poll], int], bytes]


class Source(Protocol):
    """A queue of posts, oldest first."""

    @property
    def batch_limit(self) -> BatchLimit:
        """How many polls the next post may hold."""

    @property
    def waiting(self) -> int:
        """How many polls or posts wait to be sent."""

    @property
    def in_turn(self) -> bool:
        """Whether the next post belongs to the last one, and follows it at once."""

    def oldest(self) -> Post | None:
        """Make the next post. Return None if nothing can be sent."""

    def single(self, number: int) -> Post | None:
        """Make the post of one poll only: the one after `number` older ones. None if it cannot be."""


# Which polls go into a post.

#: About 1 MB of JSON: enough to catch up quickly, and small enough to hold in memory.
MAX_DATAPOINTS: Final = 10_000
#: No post holds more polls than this, however small they are.
MAX_POLLS: Final = 1_000


def first_post(
    polls: Sequence[Spooled],
    layout: Callable[[str], Layout],
    datapoints: int = MAX_DATAPOINTS,
    *,
    one_origin: bool = True,
) -> list[Spooled]:
    """Return the polls of the next post, oldest first: as many as fit, but at least one if any.

    All are of one agent, host and program, which a post names only once. It also names its interval
    only once, but the server never reads that: its ingester (`cache_to_keypairs` in PattooShared's
    `converter.py`, release 0.0.98) takes the interval from the pairs of each datapoint. So polls of
    different intervals share a post. A poll that is larger than the limit goes alone. With `one_origin`
    false they may be of several agents: a remote write request names each.
    """
    chosen: list[Spooled] = []
    room = datapoints
    for spooled in polls:
        this = layout(spooled.poll.layout_id)
        room -= len(this.series)
        if chosen:
            if room < 0:
                break
            if one_origin and layout(chosen[0].poll.layout_id).origin != this.origin:
                break
        chosen.append(spooled)
    return chosen


# How many polls a post may hold.


class _Doubt(Enum):
    """What failures that say nothing about the size have led to."""

    NONE = "it is not in doubt"
    TRYING_ONE = "the next post holds a single poll"
    CONFIRMING = "a single poll was accepted; the former number is tried again"
    SIZE = "the size is to blame"


#: After so many failures in a row of posts of several polls, a single poll is tried.
MAX_FAILURES: Final = 3

#: A poll that was refused so often, alone and in a row, was not refused by chance.
MAX_REFUSALS: Final = 3

#: At most so many polls are passed by to find one that a way takes.
MAX_PASSED_BY: Final = 10

#: A size that was too large is tried again after so many accepted posts: polls may have become
#: smaller, a proxy's limit larger, or the network faster.
REMEMBERED_POSTS: Final = 50


class BatchLimit:
    """How many polls the next post may hold; at most `largest`.

    After a refusal the limit is half of the refused number, down to one, so a poll that the server
    cannot take is found in a few steps. Refusals are noted only while the server is healthy. Each
    accepted post doubles the limit, but keeps it below a number that was too large recently;
    otherwise a proxy's limit would refuse every other post of a backlog.

    A late answer halves the limit, too; otherwise a backlog would never get through a slow network
    or to a slow server. But if the server hangs, no post is small enough. So a number that was late
    is remembered for at most as many posts as it has polls. Small numbers from a server that hung
    are forgotten soon; a large number, which costs half a minute for each failed try, is retried
    rarely.

    Other failures say nothing about the size: a server that is down, or a way that has a limit but
    does not say so. After `MAX_FAILURES` of them, the next post holds one poll, which also costs less
    during an outage. If it is accepted, the former number is tried once more. If that fails again, the size is
    to blame, and each further failure halves the limit. A single poll that fails means an outage:
    the limit is as before.
    """

    def __init__(self, largest: int = MAX_POLLS) -> None:
        self._largest = largest
        self._polls = largest
        self._too_large = largest + 1
        self._remembered = REMEMBERED_POSTS
        self._accepted = 0
        self._head = ""
        self._refusals = 0
        self._doubt = _Doubt.NONE
        self._failures = 0
        self._suspect = largest

    @property
    def polls(self) -> int:
        """How many polls the next post may hold."""
        return self._polls

    @property
    def blames_size(self) -> bool:
        """Whether a single poll was accepted, and larger posts failed before and after that."""
        return self._doubt is _Doubt.SIZE

    def accepted(self) -> None:
        """Note that a post was accepted."""
        self._failures = 0
        if self._doubt is _Doubt.TRYING_ONE:
            self._doubt, self._polls = _Doubt.CONFIRMING, self._suspect
            return
        if self._doubt is _Doubt.CONFIRMING:
            self._doubt = _Doubt.NONE
        self._accepted += 1
        if self._accepted >= self._remembered:
            self._too_large = self._largest + 1
        larger = min(self._largest, self._polls * 2)
        if larger < self._too_large:
            self._polls = larger
        self._refusals = 0

    def too_large(self, polls: int) -> None:
        """Note that a post of `polls`, more than one, was refused only for its size."""
        self._stay_below(polls, REMEMBERED_POSTS)

    def late(self, polls: int) -> None:
        """Note that a post of `polls`, more than one, was not answered in time."""
        self._stay_below(polls, min(REMEMBERED_POSTS, polls))

    def failed(self, polls: int) -> bool:
        """Note that a post of `polls` failed, and nothing said why.

        Return whether the limit changed for that.
        """
        if polls == 1:  # so their number is not to blame
            self._end_doubt()
            return False
        if self._doubt in {_Doubt.CONFIRMING, _Doubt.SIZE}:
            self._doubt = _Doubt.SIZE
            self._stay_below(polls, REMEMBERED_POSTS)
            return True
        self._failures += 1
        if self._failures < MAX_FAILURES:
            return False
        self._doubt, self._suspect, self._polls = _Doubt.TRYING_ONE, self._polls, 1
        return True

    def _end_doubt(self) -> None:
        if self._doubt is not _Doubt.NONE:
            self._polls = self._suspect
        if self._doubt is _Doubt.SIZE:
            self._too_large = self._largest + 1
        self._doubt, self._failures = _Doubt.NONE, 0

    def _stay_below(self, polls: int, remembered: int) -> None:
        """Halve the limit, and keep it below `polls` until `remembered` posts were accepted."""
        self._polls = max(1, polls // 2)
        self._too_large, self._remembered = polls, remembered
        self._accepted = 0

    def refused(self, polls: int, head: str) -> bool:
        """Note that a post of `polls`, beginning with `head`, was refused.

        Return whether `head` was refused alone, `MAX_REFUSALS` times in a row.
        """
        self._polls = max(1, polls // 2)
        if polls > 1:
            return False
        # So the poll itself is refused, not the number of polls.
        self._too_large = self._largest + 1
        return self._refused_alone(head)

    def _refused_alone(self, head: str) -> bool:
        self._refusals = self._refusals + 1 if head == self._head else 1
        self._head = head
        return self._refusals >= MAX_REFUSALS

    def failed_alone(self, head: str) -> bool:
        """Note that a post of the single poll `head` failed.

        Return whether it failed alone `MAX_REFUSALS` times without a success in between.
        """
        self._end_doubt()
        return self._refused_alone(head)

    def stay_alone(self) -> int:
        """Keep to single polls: the head fails alone, while a test post is accepted.

        Return which later poll to try instead, as a number of polls to pass by; 0 for none yet. Each
        is tried `MAX_REFUSALS` times before the one after it.
        """
        self._polls = 1
        # As many failures with the test post as without.
        tries = self._refusals - 2 * MAX_REFUSALS + 1
        return 0 if tries < 0 else 1 + tries // MAX_REFUSALS % MAX_PASSED_BY

    def reset_refusals(self) -> None:
        """Forget the refusals of the head: the server was to blame."""
        self._refusals = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of an attempt; `error` and `trouble` are empty if it succeeded.

    `error` is a failure of the server or the network, of the kind `fault`; `trouble` is a failure
    of this host. On success, `polls` of the spool were delivered in a body of `bytes_sent`. `more`
    says whether more waited than the post could hold, and `span_s` is the time that its polls
    cover. After a failure, the next attempt waits for at least `wait_s`. After a success with `at_once`
    the next one does not wait.
    """

    error: str = ""
    polls: int = 0
    bytes_sent: int = 0
    more: bool = False
    span_s: float = inf
    wait_s: float = 0.0
    trouble: str = ""
    fault: Fault = Fault.UNREACHABLE
    at_once: bool = False

    @property
    def failed(self) -> bool:
        """Whether nothing was delivered."""
        return bool(self.error or self.trouble)
