"""The servers in order of preference, and the one among them that gets the posts."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.upload.carrier import carrier
from pattoo_mp.upload.post import empty_post
from pattoo_mp.upload.preference import Preference
from pattoo_mp.upload.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pattoo_mp.config.values import Config
    from pattoo_mp.upload.carrier import Carrier

_LOG = logging.getLogger(__name__)

#: A look comes between two posts, which wait for it.
_LOOK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Server:
    """One server: `carrier` is for posts, `scout` asks it whether it is well, and waits for a moment only."""

    carrier: Carrier
    scout: Carrier

    def close(self) -> None:
        """Cut off what goes on with it. For any thread."""
        self.carrier.close()
        self.scout.close()


class Servers:
    """Posts go to `current`. `agent_id` is for the empty post that a server has to take first."""

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
    def current(self) -> Carrier:
        """Where posts go now."""
        return self._servers[self._preference.current].carrier

    @property
    def instead_of(self) -> str:
        """The URL of the first server where another has its place; empty where not."""
        return self._servers[0].carrier.url if self._preference.current else ""

    def close(self) -> None:
        """Cut off what goes on with any of them, and everything later. For any thread."""
        for server in self._servers:
            server.close()

    def tried(self, *, taken: bool) -> None:
        """Note what came of an attempt to post to `current`."""
        self._preference.tried(self._clock(), taken=taken)

    def reconsider(self, envelope_ms: Callable[[], int]) -> bool:
        """Look at other servers if it is time to; whether `current` is another one now."""
        for number in self._preference.to_look_at(self._clock()):
            server = self._servers[number]
            well = server.scout.is_well()
            if not self._preference.is_next(number, self._clock(), well=well):
                continue
            # One whose disk is full says that it is well, and takes nothing.
            empty = empty_post(self._agent_id, envelope_ms())
            if server.carrier.post(self._agent_id, empty).delivered:
                self._go_over_to(number)
                return True
            self._preference.is_next(number, self._clock(), well=False)
        return False

    def _go_over_to(self, number: int) -> None:
        former = self.current.url
        is_back = number < self._preference.current
        self._preference.take(number, self._clock())
        if is_back:
            _LOG.info(
                "%s is well again: polls go there, and no more to %s.", self.current.url, former
            )
        else:
            _LOG.warning("%s takes nothing: polls go to %s.", former, self.current.url)


def servers(config: Config, agent_id: str) -> Servers:
    """Those of the configuration."""
    carriers = [carrier(config, url, agent_id) for url in config.server_urls]
    # One that is alone is looked at by nobody.
    scouts = carriers if len(carriers) == 1 else [_scout(config, url) for url in config.server_urls]
    made = list(map(Server, carriers, scouts))
    return Servers(made, agent_id, config.failover_after)


def _scout(config: Config, url: str) -> Carrier:
    return Transport(url, config.trust, config.proxy, exchange_s=_LOOK_S)
