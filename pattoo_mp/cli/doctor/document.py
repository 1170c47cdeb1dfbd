"""What `--doctor` found as a document for a script, described by `schema.json` here: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.doctor.finding import Part, State, trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

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
