"""The groups of families that are polled together: those of one interval, by one poller each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pattoo_mp.collect import families
from pattoo_mp.collect.poller import Poller
from pattoo_mp.collect.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.config.values import Config
    from pattoo_mp.model import Layout, Origin, Poll
    from pattoo_mp.timelimit.succession import Succession


class Groups:
    """Polls the groups of a configuration for `origin`; `ledger` is for the family `agent`.

    One thread polls all of them, or one `succession`. So none may be held up for longer than the
    shortest interval allows, and the time limits of all sources go by that.
    """

    def __init__(
        self,
        origin: Origin,
        config: Config,
        ledger: Mapping[str, int],
        succession: Succession | None = None,
    ) -> None:
        self._origin = origin
        self._succession = succession
        self._ledger = ledger
        self._pollers: dict[int, Poller] = {}
        self._wanted: dict[Wanted, Poller] = {}
        self.change(config)

    @property
    def intervals_ms(self) -> set[int]:
        """How often groups are polled."""
        return set(self._pollers)

    @property
    def left_out(self) -> dict[str, str]:
        """What the host did not give in the last poll of each group, and why."""
        pollers = self._pollers.values()
        return {name: why for poller in pollers for name, why in poller.left_out.items()}

    def has(self, family: str, interval_ms: int) -> bool:
        """Whether a family is in the group of this interval."""
        return family in self._names[interval_ms]

    def poll(self, interval_ms: int, timestamp_ms: int) -> tuple[Layout, Poll]:
        """Poll the group of this interval now; the poll carries `timestamp_ms`."""
        return self._pollers[interval_ms].poll(timestamp_ms)

    def change(self, config: Config) -> None:
        """Poll by another configuration from the next poll on.

        A group of the same families as before goes on with its sources, which know who hangs.
        """
        self._names = config.groups
        every = Wanted.of(config.fields())
        wanted = {replace(every, families=names): ms for ms, names in self._names.items()}
        gone = {p.interval_ms: p for own, p in self._wanted.items() if own not in wanted}
        limit_s = families.time_limit_s(config.shortest_s)
        self._wanted = {
            own: self._wanted.get(own) or self._poller(own, interval_ms, limit_s, gone)
            for own, interval_ms in wanted.items()
        }
        for own, poller in self._wanted.items():
            poller.interval_ms = wanted[own]
            families.wait_at_most(limit_s, poller.sources)
        self._pollers = {poller.interval_ms: poller for poller in self._wanted.values()}

    def _poller(
        self, wanted: Wanted, interval_ms: int, limit_s: float, gone: dict[int, Poller]
    ) -> Poller:
        """One of other sources in the place of one that is gone, if there is one of its interval."""
        sources = families.sources(
            limit_s, wanted, frugal=True, ledger=self._ledger, succession=self._succession
        )
        if interval_ms not in gone:
            return Poller(sources, self._origin, interval_ms)
        gone[interval_ms].change_sources(sources)
        return gone[interval_ms]
