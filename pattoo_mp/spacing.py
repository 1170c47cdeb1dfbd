"""How far apart posts and commits are: what the uploader goes by, and what control expects of it."""

from __future__ import annotations

from typing import Final

#: Polls that come faster share a commit, and thus an fsync. A backlog, and what was refused, is
#: posted as often as this.
LEAST_S: Final = 1.0
#: Polls that come faster than that wait for each other: twice as many in a post share its pairs.
_SHARED_S: Final = 2.0
#: The part of an interval after which the next poll may be dealt with. If it were the whole, then one
#: that came late, after an outage or on a host that stood still, would make all later ones as late.
_PART: Final = 0.9


def spacing_s(shortest_s: float) -> float:
    """The time from one post to the next at the least, where nothing is left over.

    `shortest_s` is the shortest interval in force.
    """
    return _SHARED_S if shortest_s < LEAST_S else commit_s(shortest_s)


def commit_s(shortest_s: float) -> float:
    """The time from one commit of polls to the next at the least, by the shortest interval in force."""
    return LEAST_S if shortest_s < LEAST_S else min(LEAST_S, _PART * shortest_s)
