"""Fail-over between servers in order of preference; one of them gets the posts.

Posts go to the first server of the configuration. If the current server has accepted nothing for
`after_s`, posts go to the next healthy one. A shorter outage changes nothing, since the spool keeps
the polls. Posts return to a preferred server once every probe has found it healthy for `after_s`.
Each switch restarts these times, so posts do not flap between servers.
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

#: A server is probed at least so many times before posts return to it, with at most so long (s)
#: between.
_PROBES: Final = 4
_MAX_PROBE_SPACING_S: Final = 60.0


class Preference:
    """Chooses one of `count` servers, numbered by preference. Times are monotonic, in seconds."""

    def __init__(self, count: int, after_s: float) -> None:
        self.current = 0
        self._count = count
        self._after_s = after_s
        self._failing_since: float | None = None
        self._healthy_since: dict[int, float] = {}
        self._probe_at = 0.0

    def note_attempt(self, now: float, *, accepted: bool) -> None:
        """Note the result of an attempt to post to `current`."""
        if accepted:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = now

    def to_probe(self, now: float) -> Sequence[int]:
        """Return the servers to probe now, in this order."""
        if self._failing_since is None:
            return range(self.current) if now >= self._probe_at else ()
        if now - self._failing_since < self._after_s:
            return ()
        return [number for number in range(self._count) if number != self.current]

    def note_probe(self, number: int, now: float, *, healthy: bool) -> bool:
        """Note the result of a probe. Return whether posts should switch to that server."""
        if self._failing_since is not None:
            return healthy
        self._probe_at = now + min(_MAX_PROBE_SPACING_S, self._after_s / _PROBES)
        if not healthy:
            self._healthy_since.pop(number, None)
            return False
        return now - self._healthy_since.setdefault(number, now) >= self._after_s

    def switch_to(self, number: int, now: float) -> None:
        """Make another server the current one."""
        self.current = number
        self._failing_since = None
        self._healthy_since.clear()
        self._probe_at = now


@dataclass(frozen=True, slots=True)
class Server:
    """One server. `transport` posts to it; `probe` checks its health, with a shorter time limit."""

    transport: Transport
    probe: Transport

    def close(self) -> None:
        """Cut off current and later exchanges with it. Callable from any thread."""
        self.transport.close()
        self.probe.close()


class Servers:
    """The configured servers. Posts go to `current`; `agent_id` is for test posts."""

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
        """The transport that posts go to now."""
        return self._servers[self._preference.current].transport

    @property
    def instead_of(self) -> str:
        """The URL of the first server while posts go to another; otherwise empty."""
        return self._servers[0].transport.url if self._preference.current else ""

    def close(self) -> None:
        """Cut off current and later exchanges with all of them. Callable from any thread."""
        for server in self._servers:
            server.close()

    def note_attempt(self, *, accepted: bool) -> None:
        """Note the result of an attempt to post to `current`."""
        self._preference.note_attempt(self._clock(), accepted=accepted)

    def check_failover(self, envelope_ms: Callable[[], int]) -> bool:
        """Probe other servers if it is time to. Return whether `current` changed."""
        for number in self._preference.to_probe(self._clock()):
            server = self._servers[number]
            healthy = server.probe.is_healthy()
            if not self._preference.note_probe(number, self._clock(), healthy=healthy):
                continue
            # A server whose disk is full says that it is well, but accepts no posts.
            if server.transport.accepts_posts(self._agent_id, envelope_ms()):
                self._switch_to(number)
                return True
            self._preference.note_probe(number, self._clock(), healthy=False)
        return False

    def _switch_to(self, number: int) -> None:
        former = self.current.url
        is_back = number < self._preference.current
        self._preference.switch_to(number, self._clock())
        if is_back:
            _LOG.info("%s is healthy again; posting to it, not to %s.", self.current.url, former)
        else:
            _LOG.warning("%s accepts no posts; posting to %s.", former, self.current.url)
