"""`--doctor`: examine everything on this host that the agent needs, and advise on what is wrong.

The findings are printed as text, or with `--json` as `doctor.schema.json` describes.
"""

from __future__ import annotations

import json
import logging
import textwrap
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.output import DONE, FAILED, errors_as_json, escape_unencodable
from pattoo_mp.config.reading import read_within
from pattoo_mp.doctor.examination import Examination
from pattoo_mp.doctor.finding import Finding, Part, State, trouble
from pattoo_mp.paths import config_directory
from pattoo_mp.util.text import counted, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence


#: The version of the document. It changes only if scripts that read it would break, not if members
#: are added.
SCHEMA: Final = 1
_SUBJECT_WIDTH: Final = 24
_ADVICE_WIDTH: Final = 96
_ADVICE: Final = " " * 8 + "-> "


def run(arguments: argparse.Namespace) -> int:
    """`--doctor`: print the findings, each part once it is known. Disturbs no running agent."""
    with errors_as_json(arguments, _document_of_errors):
        directory = config_directory()
        examination = Examination(directory, read_within(directory))
    # What a poll leaves out is among the findings; do not log it to stderr as well.
    logging.getLogger("pattoo_mp").addHandler(logging.NullHandler())
    escape_unencodable()
    parts = []
    for part in examination.parts():
        parts.append(part)
        if not arguments.json:
            print("\n".join(lines(part)), flush=True)
    print(json.dumps(document(parts), indent=2) if arguments.json else summary(parts))
    is_bad = any(finding.state is State.TROUBLE for part in parts for finding in part.findings)
    return FAILED if is_bad else DONE


# The document for scripts.


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


def _document_of_errors(problems: Sequence[str]) -> dict[str, Any]:
    """The document if the configuration cannot be used, so that nothing else was examined."""
    advice = "correct this; see --check"
    findings = tuple(trouble("files", problem, advice) for problem in problems)
    return document([Part("Configuration", findings)])


# The text for a person.


def lines(part: Part) -> list[str]:
    """The title of `part`, its findings, each followed by its advice, and an empty line."""
    return [part.title, *(line for finding in part.findings for line in _lines(finding)), ""]


def summary(parts: Sequence[Part]) -> str:
    """The last line: whether all is well, and how many findings are bad or notes."""
    states = [finding.state for part in parts for finding in part.findings]
    bad, notes = states.count(State.TROUBLE), states.count(State.NOTE)
    noted = f", {counted(notes, 'note')}" if notes else ""
    return f"Not well: {bad} bad{noted}." if bad else f"All is well{noted}."


def _lines(finding: Finding) -> Iterator[str]:
    subject, found = printable(finding.subject), printable(finding.found)
    yield f"  {finding.state.value:<4}  {subject:<{_SUBJECT_WIDTH}}  {found}"
    yield from textwrap.wrap(
        printable(finding.advice), _ADVICE_WIDTH, initial_indent=_ADVICE,
        subsequent_indent=" " * len(_ADVICE), break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
