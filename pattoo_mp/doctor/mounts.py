"""Mounts that hang: those that a poll does not ask about, too, for the agent's files may lie there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.registry import LIMIT_S
from pattoo_mp.doctor.finding import Finding, note, well
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.wire.safe import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: To ask about one of these would mount what belongs there.
_NOT_ASKED: Final = frozenset({"autofs"})


def look(limit_s: float = LIMIT_S) -> dict[str, bool]:
    """Every mount point, and whether it answers; all of them together may take `limit_s`."""
    mounts = [m.mountpoint for m in psutil.disk_partitions(all=True) if m.fstype not in _NOT_ASKED]
    answers = TimeLimited("mounts", _usage, limit_s).ask(mounts)
    return {mount: not isinstance(answer, NoAnswerError) for mount, answer in answers.items()}


def _usage(mount: str) -> os.statvfs_result:
    return os.statvfs(mount)


def findings(answers: Mapping[str, bool]) -> Iterator[Finding]:
    """Those that do not answer, each; or that all do."""
    hanging = [mount for mount, answered in answers.items() if not answered]
    for mount in hanging:
        yield note(
            "mount",
            f"{safe_text(mount)} does not answer",
            "bring back what it waits for, or unmount it (umount --lazy); polls do not wait for it",
        )
    if not hanging:
        yield well("mounts", f"{len(answers)}, and all answer")
