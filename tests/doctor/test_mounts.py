"""Mounts that hang."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from pattoo_mp.doctor import host
from pattoo_mp.doctor.finding import State
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_dead_file_server_is_named_though_no_poll_asks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others answer; what would be mounted by the question is not asked."""
    ProcFS(tmp_path / "proc", monkeypatch).write(
        "self/mounts",
        "/dev/sda1 / ext4 rw 0 0\nnas:/x /dead nfs4 rw 0 0\nauto /net autofs rw 0 0\n"
        "tmpfs /nowhere tmpfs rw 0 0\n",
    )
    back = threading.Event()
    asked = []
    statvfs = os.statvfs

    def ask(path: str) -> os.statvfs_result:
        asked.append(path)
        if path == "/dead":
            back.wait(60)
        return statvfs(path)

    monkeypatch.setattr(os, "statvfs", ask)
    answers = host.mount_answers(0.3)
    back.set()
    assert answers == {"/": True, "/dead": False, "/nowhere": True}
    assert "/net" not in asked
    (found,) = host.mount_findings(answers)
    assert (found.state, found.found) == (State.NOTE, "/dead does not answer")


def test_mounts_that_answer_are_counted() -> None:
    """One line for all of them."""
    (found,) = host.mount_findings({"/": True, "/home": True})
    assert (found.state, found.found) == (State.WELL, "2, and all answer")


def test_this_hosts_mounts_are_asked() -> None:
    """Its root at the least."""
    assert host.mount_answers()["/"]
