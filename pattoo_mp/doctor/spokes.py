"""Check the spokes of a hub: ask each target once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from pattoo_mp.doctor.finding import note, ok, trouble
from pattoo_mp.ipc.messages import SpokeState
from pattoo_mp.util.text import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pattoo_mp.collect.spokes.probe import Probed
    from pattoo_mp.config.values import Config
    from pattoo_mp.doctor.finding import Finding

#: Time limits of one exchange and of all of them (s).
EXCHANGE_S: Final = 5.0
WHOLE_S: Final = 30.0
#: So many that do not answer are named.
NAMED: Final = 20
_KINDS: Final = {"gapless": "without gaps", "page": "an original, a page a tick"}
_ADVICE: Final = {
    SpokeState.AWAY: "check that a spoke runs there, and that no firewall blocks the port",
    SpokeState.SLOW: "find out what that host is busy with",
    SpokeState.REFUSING: "see what is wrong there, or with the target's keys",
    SpokeState.NEW: "ask fewer at a time, or see --status of the running hub",
}


def check_spokes(config: Config) -> list[Probed]:
    """Ask each target of a hub once; none of another program."""
    if not config.targets:
        return []
    from pattoo_mp.collect.spokes.probe import probe  # noqa: PLC0415 - asyncio, for a hub only

    return probe(config, EXCHANGE_S, WHOLE_S)


def findings(probed: Sequence[Probed]) -> Iterator[Finding]:
    """Yield how many answer, and a finding for each of the first that do not."""
    if not probed:
        yield trouble("spokes", "no target is set", "set ip_targets, or targets_directory")
        return
    kinds = Counter(_KINDS[one.kind] for one in probed if one.kind)
    for kind, number in kinds.items():
        yield ok("spokes", f"{counted(number, 'spoke')} well: {kind}")
    bad = [one for one in probed if not one.kind]
    for one in bad[:NAMED]:
        found = f"{one.state}: {one.why} (after {duration(one.took_s)})"
        yield trouble(one.target.name, found, _ADVICE[one.state])
    if len(bad) > NAMED:
        yield note("spokes", f"{len(bad) - NAMED} more do not answer", "see --check for all")


def line(one: Probed) -> tuple[str, str]:
    """Return the name of a target, and what it answered."""
    took = duration(one.took_s)
    if one.kind:
        return one.target.name, f"well: {_KINDS[one.kind]}, answers within {took}"
    return one.target.name, f"{one.state}: {one.why} (after {took})"
