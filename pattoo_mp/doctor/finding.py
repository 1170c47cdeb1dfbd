"""Findings: what a check found, with advice where something is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """The severity of a finding."""

    OK = "ok"
    NOTE = "note"  # worth knowing; the agent does its work
    TROUBLE = "bad"  # the agent does not do its work here, or not all of it


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: the `subject` that was checked, what was `found`, and `advice`.

    `advice` is empty if the state is OK.
    """

    state: State
    subject: str
    found: str
    advice: str = ""


def ok(subject: str, found: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(State.OK, subject, found)


def note(subject: str, found: str, advice: str) -> Finding:
    """Return a finding that is worth knowing, but does not keep the agent from its work."""
    return Finding(State.NOTE, subject, found, advice)


def trouble(subject: str, found: str, advice: str) -> Finding:
    """Return a finding that keeps the agent from its work, or from some of it."""
    return Finding(State.TROUBLE, subject, found, advice)


@dataclass(frozen=True, slots=True)
class Part:
    """The findings on one topic, under a `title`."""

    title: str
    findings: tuple[Finding, ...]
