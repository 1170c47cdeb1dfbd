"""The agent itself: its count of polls, by what became of them.

The control process keeps the ledger, one for each output. The collector requests it over the link after each poll and
does not wait for the answer, so a poll carries the ledger as of the poll before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Label, Metric, Table
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
               "Polls since the spool was first created."),
        Metric("delivered", COUNTER64, "polls", "Polls Delivered",
               "Polls that the server accepted."),
        Metric("waiting", INTEGER, "polls", "Polls Waiting",
               "Polls waiting for the server, in memory and in the spool."),
        Metric("quarantined", INTEGER, "polls", "Polls in Quarantine",
               "Polls set aside because the server, although it works, refuses them."),
        Metric("dropped", COUNTER64, "polls", "Polls Dropped",
               "Polls discarded because a limit of the spool was reached."),
        Metric("missed", COUNTER64, "ticks", "Ticks Missed",
               "Times at which a poll was due but none was made."),
        Metric("lag", INTEGER, "milliseconds", "Agent's Lag",
               "Time between the newest poll delivered and the newest made; 0 if none was delivered."),
    ),
    (Label("agent_output", "Output",
           "The output whose server has, or is to have, the polls. Only if there are several.",
           prometheus="output"),),
)
# fmt: on

TABLES: Final = (_AGENT,)


def figures(
    ledger: Mapping[str, Mapping[str, int]] | None,
) -> dict[str, dict[str, Value | Exception]]:
    """Return the ledger as control last sent it; empty if it has not sent one yet.

    The figures are by output, and those of all outputs by an empty name (`Ledger.figures`). Raises
    `NotImplementedError` if `ledger` is None, that is, without a control process.
    """
    if ledger is None:
        raise NotImplementedError("only a running agent has a ledger")
    return {
        output: {metric.name: own[metric.name] for metric in _AGENT.metrics if metric.name in own}
        for output, own in ledger.items()
    }


def sources(plan: Plan) -> tuple[Source, ...]:
    """The collector's copy of the ledger."""
    none = "the agent's control process has not sent its ledger yet"
    return (Rows(_AGENT, lambda: figures(plan.ledger), none, accepts=lambda _: True),)
