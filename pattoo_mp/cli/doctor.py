"""What `--doctor` found as a document for a script, described by `doctor.schema.json`: pure."""

from __future__ import annotations

import json
import logging
import textwrap
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.output import DONE, FAILED, show_any_letter, told_in_json
from pattoo_mp.config import load
from pattoo_mp.doctor.examination import Examination
from pattoo_mp.doctor.finding import Finding, Part, State, trouble
from pattoo_mp.paths import config_directory
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence


#: It grows when a script that reads the document could no longer read it. What is only added
#: to the document leaves it as it is.
SCHEMA: Final = 1


def broken(problems: Sequence[str]) -> dict[str, Any]:
    """The same where the configuration is of no use, and nothing else was looked at."""
    advice = "correct that; --check says more"
    findings = tuple(trouble("files", problem, advice) for problem in problems)
    return document([Part("Configuration", findings)])


def document(parts: Sequence[Part]) -> dict[str, Any]:
    """What `--doctor --json` prints."""
    findings = [(part.title, finding) for part in parts for finding in part.findings]
    return {
        "schema": SCHEMA,
        "is_well": all(finding.state is not State.TROUBLE for _, finding in findings),
        "findings": [
            {
                "part": title,
                "subject": finding.subject,
                "state": finding.state.value,
                "found": finding.found,
                "advice": finding.advice,
            }
            for title, finding in findings
        ],
    }


# What `--doctor` found, in words: pure.

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


# `--doctor`: this host as the agent would use it, with what to do where it is not well.


def run(arguments: argparse.Namespace) -> int:
    """Print what is found, part by part, as soon as it is. Disturbs no agent that runs."""
    with told_in_json(arguments, broken):
        directory = config_directory()
        examination = Examination(directory, load.read_within(directory))
    # What is left out of a poll is told among the findings; said here too it would be said twice.
    logging.getLogger("pattoo_mp").addHandler(logging.NullHandler())
    show_any_letter()
    parts = []
    for part in examination.parts():
        parts.append(part)
        if not arguments.json:
            print("\n".join(lines(part)), flush=True)
    print(json.dumps(document(parts), indent=2) if arguments.json else summary(parts))
    is_bad = any(finding.state is State.TROUBLE for part in parts for finding in part.findings)
    return FAILED if is_bad else DONE
