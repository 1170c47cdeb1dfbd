"""How a poll asks the host: what is wanted of it, and who asks what may hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.collect import mounts
from pattoo_mp.collect.processes import OneLook, running
from pattoo_mp.collect.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pattoo_mp.collect.processes import Process
    from pattoo_mp.collect.wanted import Wanted
    from pattoo_mp.timelimit.succession import Succession

    Processes = Callable[[], Iterable[Process]]


class Plan:
    """Given to each family, which makes its sources by it.

    Sources that may hang are waited for `limit_s` each. Those of a frugal plan do together, and
    only as often as it is needed, what each could do alone: they are for one poller, which reads
    all of them in order. `mounts` lists file systems, and `place` says where to ask one of them for
    its figures. `ledger` is what control tells of the agent, filled in as it comes, and `succession`
    the threads of a frugal plan's poller.
    """

    def __init__(
        self,
        wanted: Wanted,
        limit_s: float,
        *,
        frugal: bool = False,
        ledger: Mapping[str, int] | None = None,
        succession: Succession | None = None,
    ) -> None:
        self.wanted = wanted
        self.ledger = ledger
        listed, self.place, table = mounts.listing(wanted.paths)
        self.mounts: mounts.Lister = mounts.Watched(listed, table) if frugal else listed
        #: All processes, as `process_states` and then `top_processes` see them.
        self.processes: tuple[Processes, Processes] = (running, running)
        if frugal and {"process_states", "top_processes"} <= set(wanted.families):
            look = OneLook()
            self.processes = (look.first, look.second)
        self._limit_s = limit_s
        self._together = Together(limit_s, succession=succession) if frugal else None

    def together(self) -> Together:
        """Who asks what may hang: for each source one of its own, or one for all of them."""
        return self._together or Together(self._limit_s)
