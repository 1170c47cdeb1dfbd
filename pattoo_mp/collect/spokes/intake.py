"""What a hub has taken from spokes, on its way to control and into the spool."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.spokes.pulled import LayoutMissingError
from pattoo_mp.collect.spokes.taken import bad
from pattoo_mp.ipc.link import LinkClosedError
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import agent_of
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.collect.spokes.pulled import Pulled
    from pattoo_mp.collect.spokes.target import Spoke
    from pattoo_mp.ipc.link import Link
    from pattoo_mp.model import Layout, Poll

_LOG = logging.getLogger(__name__)

#: So many agents are known at a time: a spoke might have another identity in each answer.
_AGENTS: Final = 40_000
#: So many groups are known in all; beyond that, a target may only begin its first one. The spool keeps them all.
_GROUPS: Final = 100_000
#: Polls that are sent, with new layouts, and not in the spool yet: with more, no spoke is asked. The channel holds twice that.
_UNSTORED: Final = 25_000
_UNSTORED_BYTES: Final = 48 << 20
#: What waits here while control does not read.
_UNSENT_BYTES: Final = 4 << 20


class Intake:
    """Sends control the polls of spokes, each one once, and knows how many are not in the spool yet.

    An agent belongs to the target that it was found at; another target with the same identity is refused.
    `closed` is called when control is found to be gone. All methods belong to the loop's thread.
    """

    def __init__(self, link: Link, closed: Callable[[LinkClosedError], None]) -> None:
        self._link = link
        self._closed = closed
        #: The time of the newest poll of each group (ms).
        self._newest: dict[str, int] = {}
        self._owners: dict[str, Spoke] = {}
        self._unstored: deque[int] = deque()
        self._unstored_bytes = 0
        self._is_blocked = False
        self._is_writing = False
        #: How many polls were sent, and how many of these are in the spool; None before control's first word.
        self.sent = 0
        self.stored: int | None = None

    def newest_ms(self, group: str) -> int:
        """Return the time of the newest poll of a group (ms); 0 if there is none."""
        return self._newest.get(group, 0)

    def resume(self, newest_ms: dict[str, int]) -> None:
        """Go on after the newest polls that earlier collectors have sent, by group."""
        self._newest |= newest_ms

    def note_stored(self, polls: int) -> None:
        """Note that so many of the polls that were sent are in the spool."""
        while len(self._unstored) > max(0, self.sent - polls):
            self._unstored_bytes -= self._unstored.popleft()
        self.stored = polls

    def is_full(self) -> bool:
        """Whether no more may be taken now: what was taken is not in the spool yet."""
        unstored = len(self._unstored)
        is_full = unstored > _UNSTORED or self._unstored_bytes > _UNSTORED_BYTES
        is_full = is_full or self._link.unsent_bytes > _UNSENT_BYTES
        if is_full and not self._is_blocked:
            _LOG.error(
                "%s wait for the spool; no spoke is asked until they are in it.",
                counted(unstored, "poll"),
            )
        self._is_blocked = is_full
        return is_full

    def own(self, spoke: Spoke, agent_id: str, hostname: str) -> None:
        """Note whom a target is. Raises `AskError` if another one is the same."""
        spoke.claims = agent_id
        self._own_also(spoke, agent_id)
        if spoke.agent_id != agent_id and self._owners.get(spoke.agent_id) is spoke:
            del self._owners[spoke.agent_id]
        spoke.agent_id, spoke.hostname = agent_id, hostname[:255]

    def _own_also(self, spoke: Spoke, agent_id: str) -> None:
        owner = self._owners.get(agent_id)
        if owner is not None and owner.agent_id == agent_id != owner.claims:
            owner = None  # another host has the address of that target now
        if owner is None:
            # A target's own identity always has room, whatever other ones a spoke names.
            if agent_id != spoke.claims and len(self._owners) >= _AGENTS:
                raise bad(f"it is one more than {_AGENTS} agents at a hub")
            self._owners[agent_id] = spoke
        elif owner is not spoke:
            raise bad(f"it has the identity of {owner.target.name}; expected one of its own")

    def take(self, spoke: Spoke, found: Pulled) -> None:
        """Take the polls of an answer, apart from those that were taken before.

        Raises `AskError`, and `LayoutMissingError` before any is taken.
        """
        self.own(spoke, found.agent_id, found.hostname)
        for agent_id in {agent_of(poll.group) for poll in found.polls}:
            self._own_also(spoke, agent_id)
        layouts = {layout.identifier: layout for layout in found.layouts.values()}
        current = dict(spoke.layouts)
        for poll in found.polls:
            if current.get(poll.group) != poll.layout_id and poll.layout_id not in layouts:
                raise LayoutMissingError  # a group has a layout again that it had before the last one
            current[poll.group] = poll.layout_id
        taken = repeated = 0
        for poll in found.polls:
            if poll.timestamp_ms <= self.newest_ms(poll.group):
                repeated += 1
                continue
            self.send_poll(spoke, poll, layouts.get(poll.layout_id), 0, "")
            taken += 1
        spoke.took(taken, repeated, found.left_out, 0)

    def send_poll(
        self, spoke: Spoke, poll: Poll, layout: Layout | None, missed: int, why: str
    ) -> None:
        """Send a poll, with its layout if control does not know it. `missed` ticks before it, for `why`.

        Raises `AskError`, and `LayoutMissingError` if `layout` is needed and None.
        """
        is_new = poll.group not in self._newest
        if is_new and spoke.layouts and len(self._newest) >= _GROUPS:
            raise bad(f"it has agents or intervals beyond the {_GROUPS} that a hub can know")
        size = len(poll.packed)
        if spoke.layouts.get(poll.group) != poll.layout_id:
            if layout is None:
                raise LayoutMissingError
            size += len(layout.packed)
            self._link.send(Kind.LAYOUT, layout.identifier, layout.packed, poll.group)
            spoke.layouts[poll.group] = poll.layout_id
        self._link.send(
            Kind.SPOKE_POLL, poll.layout_id, poll.timestamp_ms, poll.packed, poll.group, missed, why
        )
        self._newest[poll.group] = poll.timestamp_ms
        self.sent += 1
        self._unstored.append(size)
        self._unstored_bytes += size
        self._write()

    def send(self, *message: object) -> None:
        """Send any other message; what control does not read at once follows when it does."""
        self._link.send(*message)
        self._write()

    def forget(self, names: list[str], groups: list[str]) -> None:
        """Forget targets that are gone, and the agents found there; control forgets their groups."""
        self._owners = {a: s for a, s in self._owners.items() if not s.gone}
        self.send(Kind.FORGET, names, groups)

    def _write(self) -> None:
        if self._link.unsent_bytes and not self._is_writing:
            self._is_writing = True
            asyncio.get_running_loop().add_writer(self._link.fileno(), self._flush)

    def _flush(self) -> None:
        try:
            self._link.flush()
        except LinkClosedError as error:
            self._closed(error)
            return
        if not self._link.unsent_bytes:
            self._is_writing = False
            asyncio.get_running_loop().remove_writer(self._link.fileno())
