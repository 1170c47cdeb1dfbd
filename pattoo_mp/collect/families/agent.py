"""The agent itself: what became of its polls.

The control process keeps the ledger. It is asked for it after each poll, and tells it over the
link, so that a poll has the ledger as it stood after the poll before. Nobody waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import COUNTER64, INTEGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_AGENT: Final = Table(
    "agent", "This agent", "agent_", INTEGER,
    (
        Metric("polled", COUNTER64, "polls", "Polls Made",
               "Polls since the spool was first made."),
        Metric("delivered", COUNTER64, "polls", "Polls Delivered",
               "Polls that the server took."),
        Metric("waiting", INTEGER, "polls", "Polls Waiting",
               "Polls that wait for the server, in memory and in the spool."),
        Metric("quarantined", INTEGER, "polls", "Polls in Quarantine",
               "Polls set aside since the server, though well, refuses them."),
        Metric("dropped", COUNTER64, "polls", "Polls Dropped",
               "Polls that went when a limit of the spool was reached."),
        Metric("missed", COUNTER64, "ticks", "Ticks Missed",
               "Times at which there should have been a poll, and was none."),
        Metric("lag", INTEGER, "milliseconds", "Agent's Lag",
               "From the newest poll that the server has to the newest there is; 0 if it has none."),
    ),
)
# fmt: on

TABLES: Final = (_AGENT,)


def figures(ledger: Mapping[str, int] | None) -> dict[str, Value]:
    """What control has told last; nothing if it has not yet. None stands for no control at all."""
    if ledger is None:
        raise NotImplementedError("only an agent that runs keeps a ledger")
    return {metric.name: ledger[metric.name] for metric in _AGENT.metrics if metric.name in ledger}


def sources(plan: Plan) -> tuple[Source, ...]:
    """What the collector's ledger says."""
    return (Fields(_AGENT, lambda: figures(plan.ledger)),)
