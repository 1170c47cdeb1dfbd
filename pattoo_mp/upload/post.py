"""A post, and where posts come from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.upload.window import Window


@dataclass(frozen=True, slots=True)
class Post:
    """One body for the server, and what to do when its fate is known.

    `head` names the oldest poll in it, for a log; `taken` forgets what the server has, and
    returns how many of the spool's polls that were; `set_aside` moves a post of one poll away. It
    took `polled_in_s` to poll what is in it, as far as that is known.
    """

    agent_id: str
    body: bytes
    polls: int
    head: str
    taken: Callable[[], int]
    set_aside: Callable[[str], None]
    polled_in_s: float = inf


class Source(Protocol):
    """What has posts to send, oldest first."""

    @property
    def window(self) -> Window:
        """How many polls its next post may hold."""

    @property
    def waiting(self) -> int:
        """How much there is to send."""

    def oldest(self) -> Post | None:
        """Make the next post; none if nothing is left that could be sent."""


def empty_post(agent_id: str, envelope_ms: int) -> bytes:
    """A post that says nothing. A server that takes posts takes it, and then passes it over."""
    content = {
        "pattoo_agent_timestamp": envelope_ms,
        "pattoo_agent_id": agent_id,
        "pattoo_agent_polling_interval": 1000,
        "pattoo_datapoints": {"key_value_pairs": {}, "datapoint_pairs": []},
    }
    return json.dumps(content).encode()
