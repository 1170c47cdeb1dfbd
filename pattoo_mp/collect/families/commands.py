"""Commands: figures that the operator's own programs print, in Prometheus's text format or as plugins of Nagios.

The programs run beside the polls (`collect/commands/`). A poll takes the newest answer of each: until the next
one, and no longer than that may take. Then it is left out, and the reason is told.

As with text files, the number of different series is limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.families._prometheus import CardinalityLimit, Identity
from pattoo_mp.collect.source import Sample, Shape
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Series
from pattoo_mp.util.process import clock

if TYPE_CHECKING:
    from pattoo_mp.collect.commands.answer import Answer
    from pattoo_mp.collect.commands.latest import Latest
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.config.values import Command
    from pattoo_mp.model import Pair, Value

# fmt: off
_TABLE: Final = Table(
    "commands", "Commands", "command_", FLOAT,
    (
        Metric("exit_status", INTEGER, "status", "Command (Exit Status)",
               "Exit status of the newest run, 0 if all is well. 124: ended by the time limit; 126: not run; "
               "127: there is no such program; 128 and more: ended by a signal."),
        Metric("duration", FLOAT, "seconds", "Command (Duration)", "How long the newest run took."),
        Metric("value", FLOAT, "values", "Command (Value)",
               "Performance data of a plugin without a unit, or in one that is not known."),
        Metric("seconds", FLOAT, "seconds", "Command (Time)", "Performance data in s, ms, us or ns."),
        Metric("bytes", FLOAT, "bytes", "Command (Bytes)",
               "Performance data in B, KB, MB, GB, TB or PB, in powers of 1024."),
        Metric("percent", FLOAT, "percent", "Command (Percent)", "Performance data in %."),
        Metric("count", COUNTER64, "events", "Command (Counter)", "Performance data in c: a counter."),
    ),
    (
        Label("command_name", "Command", "The command's name in the configuration.", prometheus="command"),
        Label("command_figure", "Command (Figure)", "The label in the performance data.", prometheus="figure"),
        Label("command_unit", "Command (Unit)", "The unit, if it is not one of the known.", prometheus="unit"),
    ),
)
# fmt: on

TABLES: Final = (_TABLE,)

#: Limit for the different series of all commands within a day, without status and duration.
MAX_SERIES: Final = 1000
#: How much later than expected an answer may come, on a busy host (s).
LATE_S: Final = 5.0
_TOO_MANY: Final = f"more than {MAX_SERIES} different series within a day; the rest is left out"
_NO_COMMANDS: Final = "commands is not set; expected the programs to run"
_NOT_RUN: Final = "not run: only the agent's user, and root for that user, may run them"
_STATUS, _DURATION = _TABLE.metrics[:2]


class Commands:
    """A source of the newest answer of each command; without any, of the note `nothing`."""

    def __init__(self, latest: Latest | None, nothing: str = "") -> None:
        self._latest = latest
        self._nothing = nothing
        self._limit: CardinalityLimit[Identity] = CardinalityLimit(MAX_SERIES)
        #: The answers of the last sample, None for those that were left out.
        self._answers: list[Answer | None] = []
        self._trouble = ""
        self._sample = Sample((), ())

    @property
    def name(self) -> str:
        """The table's."""
        return _TABLE.name

    def read(self) -> Sample:
        """Take the newest answers. Waits for nothing."""
        if self._latest is None:
            return Sample((), (), {self.name: self._nothing})
        latest, trouble, now_s = self._latest.answers, self._latest.trouble, clock()
        answers = [
            answer if answer and now_s - answer.started_s <= _valid_s(command) else None
            for command in self._latest.commands
            for answer in [latest.get(command.name)]
        ]
        is_same = len(answers) == len(self._answers) and all(
            one is other for one, other in zip(answers, self._answers, strict=True)
        )
        if not is_same or trouble != self._trouble:
            self._answers, self._trouble = answers, trouble
            self._sample = self._of(answers)
        return self._sample

    def _of(self, answers: list[Answer | None]) -> Sample:
        assert self._latest is not None  # noqa: S101 - there are answers
        figures: dict[Identity, Value] = {}
        always: dict[Identity, Value] = {}
        left_out: dict[str, str] = {}
        first: list[str] = []
        for command, answer in zip(self._latest.commands, answers, strict=True):
            label = ((_TABLE.labels[0].key, command.name),)
            status = Identity(_TABLE.key(_STATUS), _STATUS.data_type, label)
            duration = Identity(_TABLE.key(_DURATION), _DURATION.data_type, label)
            always[status] = answer.status if answer else None
            always[duration] = round(answer.took_s, 6) if answer else None
            figures |= answer.figures if answer else ()
            if answer is None and command.name not in self._latest.answers:
                first.append(command.name)
            elif why := answer.why if answer else self._why_late(command):
                left_out[f"{self.name} {command.name}"] = why
        if first:  # as after each start: one line for all
            left_out[f"{self.name} new"] = f"no run has ended yet of {', '.join(first)}"
        if self._trouble:
            left_out[self.name] = self._trouble
        admitted = self._limit.admit(figures)
        if len(admitted) < len(figures):
            left_out[f"{self.name} series"] = _TOO_MANY
            figures = {one: value for one, value in figures.items() if one in admitted}
        kept = always | figures
        return Sample(tuple(kept), tuple(kept.values()), left_out)

    def _why_late(self, command: Command) -> str:
        """Return why the answer of a command is not sent any more."""
        assert self._latest is not None  # noqa: S101 - it is one of its commands
        last = self._latest.answers[command.name]
        text = f"no run has ended for more than {_valid_s(command):g} s"
        return f"{text}; the last one: {last.why}" if last.why else text

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return a series for each figure, and two for each command."""
        return [
            Series(identity.key, identity.data_type, (*host, *identity.labels))
            for identity in shape
        ]


def _valid_s(command: Command) -> float:
    """Return how old an answer may be: until the next run must have ended (s)."""
    return command.interval_s + command.timeout_s + LATE_S


def sources(plan: Plan) -> tuple[Source, ...]:
    """The commands that the plan has answers of."""
    return (Commands(plan.latest, _NOT_RUN if plan.filters.commands else _NO_COMMANDS),)
