"""What a run of a command gave: its exit status, how long it took, and the figures that it printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgpack

from pattoo_mp.collect.commands import perfdata
from pattoo_mp.collect.families import _prometheus
from pattoo_mp.collect.families._prometheus import FormatError, Identity, sort_key
from pattoo_mp.config.values import NAGIOS

if TYPE_CHECKING:
    from pattoo_mp.collect.families._prometheus import Figure

#: What is before the names that a command prints in Prometheus's format.
KEY: Final = "command_metric_"
LABEL: Final = "command_label_"
#: The label with the command's name, which all of its figures carry.
NAME: Final = "command_name"
#: The messages of the process that runs commands: `ANSWER name packed` and `FAILED traceback`.
ANSWER: Final = "answer"
FAILED: Final = "failed"
#: The most figures of one run; the family has a limit for all commands.
MAX_FIGURES: Final = 1000
#: Exit statuses of a run that has none, as a shell and timeout(1) give them.
TIMED_OUT: Final = 124
NOT_RUN: Final = 126
NOT_FOUND: Final = 127
#: To this the number of the signal is added that ended a run.
SIGNALLED: Final = 128
#: Exit statuses of a plugin that has done its work: ok, warning, critical, unknown.
_OF_PLUGINS: Final = range(4)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the newest run gave. `why` says what is left out of it, empty if nothing is.

    `started_s` is by `util.process.clock`. `status` is the exit status as a shell and timeout(1) report it
    (docs/commands.md).
    """

    started_s: float
    took_s: float
    status: int
    figures: tuple[Figure, ...] = ()
    why: str = ""

    def packed(self) -> bytes:
        """Return it as bytes for the collector; `unpacked` reads them."""
        fields = [self.started_s, self.took_s, self.status, self.figures, self.why]
        content: bytes = msgpack.packb(fields, unicode_errors="backslashreplace")
        return content

    @classmethod
    def unpacked(cls, content: bytes) -> Answer:
        """Make an answer of what `packed` returned."""
        started_s, took_s, status, figures, why = msgpack.unpackb(content)
        return cls(started_s, took_s, status, tuple(map(_figure, figures)), why)


def _figure(sent: Any) -> Figure:  # noqa: ANN401 - a figure as MessagePack carries it
    (key, data_type, labels), value = sent
    return Identity(key, data_type, tuple(map(tuple, labels))), value


def printed_figures(
    name: str, form: str, output: bytes, status: int
) -> tuple[tuple[Figure, ...], str]:
    """Return the figures in the output of the command `name`, and what is left out and why.

    Of a failed run there are none: what it has printed may be half of what it wanted to.
    """
    is_nagios = form == NAGIOS
    if status not in (_OF_PLUGINS if is_nagios else (0,)):
        return (), f"exit status {status}; expected {'0 to 3' if is_nagios else '0'}"
    try:
        found, why = _parsed(output, is_nagios=is_nagios)
    except (FormatError, ImportError) as error:
        return (), str(error)
    own = ((NAME, name),)
    kept: dict[tuple[str, tuple[tuple[str, str], ...]], Figure] = {}
    for (key, data_type, labels), value in found:
        figure = Identity(key, data_type, own + labels), value
        kept.setdefault((key, labels), figure)
    notes = [why] if why else []
    if len(kept) < len(found):
        notes.append(f"duplicate figures are left out: {len(found) - len(kept)}")
    if len(kept) > MAX_FIGURES:
        notes.append(f"more than {MAX_FIGURES} figures; the rest is left out")
    # A program may print them in any order, but another order would be another layout.
    in_order = sorted(kept.values(), key=lambda figure: sort_key(figure[0]))
    return tuple(in_order[:MAX_FIGURES]), "; ".join(notes)


def _parsed(output: bytes, *, is_nagios: bool) -> tuple[tuple[Figure, ...], str]:
    if is_nagios:
        return perfdata.figures(output)
    if not output:
        return (), "it printed nothing"
    return _prometheus.figures(output, KEY, LABEL), ""
