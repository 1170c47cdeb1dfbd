"""How far apart posts are: what the uploader goes by, and what control expects of it."""

from __future__ import annotations

from typing import Final

#: No server is posted to more often. A backlog, and what was refused, goes as often as this.
LEAST_S: Final = 1.0
#: Polls that come faster than that wait for each other: twice as many in a post share its pairs.
_SHARED_S: Final = 2.0


def spacing_s(shortest_s: float) -> float:
    """The time from one post to the next at the least, where nothing is left over.

    `shortest_s` is the shortest interval in force.
    """
    return _SHARED_S if shortest_s < LEAST_S else LEAST_S
