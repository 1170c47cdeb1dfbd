"""The spool of a hub as a source of posts: each has the polls of one spoke.

A post names one agent, and the polls of thousands follow one another in the spool. So many of them are read
for a turn, and each spoke among these gets a post, the one with the oldest poll first. The order of the polls
of each spoke is kept. The spool forgets polls only up to a number; so what was accepted out of that order is
remembered here until all before it was. If the process ends before that, the next one sends it again.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.upload.post import MAX_DATAPOINTS, Post
from pattoo_mp.upload.spooled import SpooledPosts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pattoo_mp.spool.store import Spooled
    from pattoo_mp.upload.post import Encode
    from pattoo_mp.upload.spooled import Outbox, Selection

#: The spool is told of accepted polls at most so often (s): each time takes a commit.
_ACKNOWLEDGE_S: Final = 0.5
#: So many polls are read for a turn. In a backlog of thousands of spokes each has only one among so many; then more
#: are read, so that a post has several of one spoke. 20,000 have some 30 MB.
_TURN: Final = 1_000
_LONG_TURN: Final = 20_000
#: The agents of so many layouts are remembered.
_AGENTS: Final = 50_000


class SpokePosts(SpooledPosts):
    """The polls of many spokes, in posts of one each. The arguments are those of `SpooledPosts`."""

    def __init__(
        self,
        outbox: Outbox,
        envelope_ms: Callable[[], int],
        encode: Encode,
        *,
        selection: Selection | None = None,
    ) -> None:
        super().__init__(outbox, self._next_envelope_ms, encode, selection=selection)
        self._new_envelope_ms = envelope_ms
        #: What is left of the turn: the polls of each agent by number, and the agents by their first one.
        self._turn: dict[str, deque[Spooled]] = {}
        self._order: list[tuple[int, str]] = []
        #: The numbers of accepted polls that the spool was not told of yet.
        self._accepted: list[int] = []
        self._last_id = 0
        self._acknowledged_at = 0.0
        #: The agent and the number of series of each layout.
        self._agents: dict[str, tuple[str, int]] = {}
        #: The time of the turn's posts (ms), and the agents that have one of it.
        self._turn_ms = 0
        self._has_post: set[str] = set()
        self._agent = ""

    @property
    def waiting(self) -> int:
        """How many polls are to be sent."""
        return max(0, super().waiting - len(self._accepted))

    @property
    def in_turn(self) -> bool:
        """Whether other spokes have a post in this turn."""
        return bool(self._turn)

    def oldest(self) -> Post | None:
        """Return the post of the spoke with the oldest poll. Unreadable polls are moved to quarantine."""
        if not self._turn and not self._begin():
            return None
        chosen = self._of_one()
        try:
            wanted = [s for s in chosen if self._layout(s.poll.layout_id).series]
            if not wanted:  # the output gets nothing of these
                self._are_accepted(chosen)
                return self.oldest() if self._turn else None
            return self._of(wanted)
        except WireError as error:
            if not self._outbox.has_layouts:
                raise OSError(f"{error}; the next poll may bring what is missing") from error
            self._set_aside_bad(chosen, error)
            return None

    def single(self, number: int) -> Post | None:
        """Return the post of one poll only, the one after `number` older ones. None if it cannot be."""
        if not self._turn:
            self._begin()
        left = sorted((s for polls in self._turn.values() for s in polls), key=lambda s: s.id)
        try:
            return self._of(left[number : number + 1]) if number < len(left) else None
        except WireError:
            return None

    def _begin(self) -> bool:
        """Read the polls of a turn; return whether there are any."""
        is_backlog = super().waiting > 2 * _TURN
        found = self._outbox.oldest(_LONG_TURN if is_backlog else _TURN)
        self._turn, self._order = {}, []
        for spooled in found:
            self._turn.setdefault(self._agent_of(spooled)[0], deque()).append(spooled)
        self._order = [(polls[0].id, agent) for agent, polls in self._turn.items()]
        heapq.heapify(self._order)
        if found:
            self._last_id = found[-1].id
            self._turn_ms, self._has_post = self._new_envelope_ms(), set()
        return bool(found)

    @property
    def _first(self) -> str:
        """The agent that has the oldest poll of what is left of the turn."""
        while True:
            first_id, agent = self._order[0]
            polls = self._turn.get(agent)
            if polls and polls[0].id == first_id:
                return agent
            heapq.heappop(self._order)

    def _of_one(self) -> list[Spooled]:
        """Return polls of the spoke that has the oldest one, as many as a post may hold."""
        chosen: list[Spooled] = []
        room = MAX_DATAPOINTS
        for spooled in self._turn[self._first]:
            room -= self._agent_of(spooled)[1]
            if chosen and (room < 0 or len(chosen) >= self.batch_limit.polls):
                break
            chosen.append(spooled)
        return chosen

    def _agent_of(self, spooled: Spooled) -> tuple[str, int]:
        """Return the agent of a poll, and how many series it has. One that cannot be read has none."""
        identifier = spooled.poll.layout_id
        if identifier not in self._agents:
            if len(self._agents) >= _AGENTS:
                self._agents.clear()
            try:
                layout = self._outbox.layout(identifier)
            except WireError:
                return f"unreadable {identifier}", 0
            # A post names host and program only once, too.
            origin = layout.origin
            name = " ".join((origin.agent_id, origin.hostname, origin.program, origin.target))
            self._agents[identifier] = name, len(layout.series)
        return self._agents[identifier]

    def _of(self, polls: list[Spooled]) -> Post:
        self._agent = self._agent_of(polls[0])[0]
        post = self._post(polls)
        return Post(
            agent_id=post.agent_id,
            body=post.body,
            polls=post.polls,
            head=f"{post.head} of {post.layouts[polls[0].poll.layout_id].origin.hostname}",
            accepted=partial(self._are_accepted, polls),
            set_aside=partial(self._set_aside, polls[0]),
            span_s=post.span_s,
            spooled=post.spooled,
            layouts=post.layouts,
        )

    def _next_envelope_ms(self) -> int:
        """Return the time of a post: that of the turn for the first one of each agent in it.

        The server names files by the agent and this time, so it has to grow for each agent only.
        """
        agent = self._agent.partition(" ")[0]
        if agent in self._has_post or not self._turn_ms:
            return self._new_envelope_ms()
        self._has_post.add(agent)
        return self._turn_ms

    def _are_accepted(self, polls: Sequence[Spooled]) -> int:
        """Note that the server has these polls; return their number."""
        self._remove(polls)
        self._accepted += [spooled.id for spooled in polls]
        now = time.monotonic()
        if not self._turn or now - self._acknowledged_at >= _ACKNOWLEDGE_S:
            self._acknowledge()
        return len(polls)

    def _acknowledge(self) -> None:
        """Tell the spool up to which number all polls were accepted."""
        last_id = self._turn[self._first][0].id - 1 if self._turn else self._last_id
        polls = sum(number <= last_id for number in self._accepted)
        if polls:
            self._acknowledged_at = time.monotonic()
            self._accepted = [number for number in self._accepted if number > last_id]
            self._outbox.sent(last_id, polls)

    def _set_aside(self, spooled: Spooled, reason: str) -> None:
        self._acknowledge()  # it is the oldest one now
        self._outbox.set_aside(spooled.id, reason)
        self._remove([spooled])

    def _set_aside_bad(self, polls: Sequence[Spooled], error: WireError) -> None:
        """Move those of `polls` that cannot be read to quarantine."""
        bad = [spooled for spooled in polls if not self._is_readable(spooled)]
        if not bad:
            # The spool found damage and replaced the file that these polls were read from.
            self._turn = {}
            raise OSError(f"its polls have changed: {error}") from error
        for spooled in bad:
            self._outbox.set_aside_unreadable(spooled.id, str(error))
            self._remove([spooled])

    def _is_readable(self, spooled: Spooled) -> bool:
        try:
            layout = self._outbox.layout(spooled.poll.layout_id)
            self._encode({layout.identifier: layout}, [spooled.poll], 0)
        except WireError:
            return False
        return True

    def _remove(self, done: Sequence[Spooled]) -> None:
        """Take polls of one agent out of the turn."""
        agent, numbers = self._agent_of(done[0])[0], {spooled.id for spooled in done}
        # A layout that could not be read may have come again, and its polls are under another name.
        for name in [agent] if agent in self._turn else list(self._turn):
            left = deque(s for s in self._turn.pop(name) if s.id not in numbers)
            if left:
                self._turn[name] = left
                heapq.heappush(self._order, (left[0].id, name))
