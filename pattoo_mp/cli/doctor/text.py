"""What `--doctor` found, in words: pure."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pattoo_mp.doctor.finding import Part

_SUBJECT_WIDTH: Final = 24
_ADVICE_WIDTH: Final = 96
_ADVICE: Final = " " * 8 + "-> "


def lines(part: Part) -> list[str]:
    """A part's title and its findings, each with what to do below it."""
    return [part.title, *(line for finding in part.findings for line in _lines(finding)), ""]


def summary(parts: Sequence[Part]) -> str:
    """How it stands, in a line."""
    states = [finding.state for part in parts for finding in part.findings]
    bad, notes = states.count(State.TROUBLE), states.count(State.NOTE)
    noted = f", {notes} to note" if notes else ""
    return f"Not well: {bad} bad{noted}." if bad else f"All is well{noted}."


def _lines(finding: Finding) -> Iterator[str]:
    subject, found = printable(finding.subject), printable(finding.found)
    yield f"  {finding.state.value:<4}  {subject:<{_SUBJECT_WIDTH}}  {found}"
    yield from textwrap.wrap(
        printable(finding.advice), _ADVICE_WIDTH, initial_indent=_ADVICE,
        subsequent_indent=" " * len(_ADVICE), break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
