"""What a look at the host found: one thing each, with what to do where it is not well."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How a finding is to be taken."""

    WELL = "ok"
    NOTE = "note"  # worth knowing; the agent does its work
    TROUBLE = "bad"  # the agent does not do its work here, or not all of it


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `subject` is what was looked at, `found` what it is like, `advice` what to do."""

    state: State
    subject: str
    found: str
    advice: str = ""


def well(subject: str, found: str) -> Finding:
    """As it should be."""
    return Finding(State.WELL, subject, found)


def note(subject: str, found: str, advice: str) -> Finding:
    """Not as one might think."""
    return Finding(State.NOTE, subject, found, advice)


def trouble(subject: str, found: str, advice: str) -> Finding:
    """Not as it should be."""
    return Finding(State.TROUBLE, subject, found, advice)


@dataclass(frozen=True, slots=True)
class Part:
    """What belongs together of what was found."""

    title: str
    findings: tuple[Finding, ...]
