"""Several servers in order of preference, and the one among them that gets the posts.

Posts go to the first server of the configuration. When the current server has taken nothing for
`after_s`, posts go to the next one that is well; a shorter outage changes nothing, since the spool
keeps the polls. Posts go back to a preferred server once every check found it well for `after_s`.
After each change for the worse the time starts again, so nothing flaps.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pattoo_mp.upload.delivery import Transport

_LOG = logging.getLogger(__name__)

#: So many looks, at the least, before a server is gone back to; and the most time (s) between two.
_LOOKS: Final = 4
_MOST_S: Final = 60.0


class Preference:
    """Chooses among `count` servers, numbered by preference. Times are of a monotonic clock, in s."""

    def __init__(self, count: int, after_s: float) -> None:
        self.current = 0
        self._count = count
        self._after_s = after_s
        self._failing_since: float | None = None
        self._well_since: dict[int, float] = {}
        self._look_at = 0.0

    def note_attempt(self, now: float, *, accepted: bool) -> None:
        """Note what came of an attempt to post to `current`."""
        if accepted:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = now

    def to_probe(self, now: float) -> Sequence[int]:
        """Which servers to look at now, in this order."""
        if self._failing_since is None:
            return range(self.current) if now >= self._look_at else ()
        if now - self._failing_since < self._after_s:
            return ()
        return [number for number in range(self._count) if number != self.current]

    def note_probe(self, number: int, now: float, *, well: bool) -> bool:
        """Note how one that was looked at is; whether it is to be `current` from now on."""
        if self._failing_since is not None:
            return well
        self._look_at = now + min(_MOST_S, self._after_s / _LOOKS)
        if not well:
            self._well_since.pop(number, None)
            return False
        return now - self._well_since.setdefault(number, now) >= self._after_s

    def switch_to(self, number: int, now: float) -> None:
        """Go over to another."""
        self.current = number
        self._failing_since = None
        self._well_since.clear()
        self._look_at = now


@dataclass(frozen=True, slots=True)
class Server:
    """One server. `transport` posts to it; `probe` asks whether it is well, with a shorter time limit."""

    transport: Transport
    probe: Transport

    def close(self) -> None:
        """Cut off what goes on with it. For any thread."""
        self.transport.close()
        self.probe.close()


class Servers:
    """Posts go to `current`. `agent_id` is for the post that a server must take before it is chosen."""

    def __init__(
        self,
        servers: Sequence[Server],
        agent_id: str = "",
        after_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = servers
        self._agent_id = agent_id
        self._clock = clock
        self._preference = Preference(len(servers), after_s)

    @property
    def current(self) -> Transport:
        """Where posts go now."""
        return self._servers[self._preference.current].transport

    @property
    def instead_of(self) -> str:
        """The URL of the first server where another has its place; empty where not."""
        return self._servers[0].transport.url if self._preference.current else ""

    def close(self) -> None:
        """Cut off what goes on with any of them, and everything later. For any thread."""
        for server in self._servers:
            server.close()

    def note_attempt(self, *, accepted: bool) -> None:
        """Note what came of an attempt to post to `current`."""
        self._preference.note_attempt(self._clock(), accepted=accepted)

    def check_failover(self, envelope_ms: Callable[[], int]) -> bool:
        """Look at other servers if it is time to; whether `current` is another one now."""
        for number in self._preference.to_probe(self._clock()):
            server = self._servers[number]
            well = server.probe.is_healthy()
            if not self._preference.note_probe(number, self._clock(), well=well):
                continue
            # A server whose disk is full says that it is well, and takes nothing.
            if server.transport.accepts_posts(self._agent_id, envelope_ms()):
                self._go_over_to(number)
                return True
            self._preference.note_probe(number, self._clock(), well=False)
        return False

    def _go_over_to(self, number: int) -> None:
        former = self.current.url
        is_back = number < self._preference.current
        self._preference.switch_to(number, self._clock())
        if is_back:
            _LOG.info(
                "%s is well again: polls go there, and no more to %s.", self.current.url, former
            )
        else:
            _LOG.warning("%s takes nothing: polls go to %s.", former, self.current.url)
