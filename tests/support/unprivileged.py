"""Runs a question as a user without rights: root sees no trouble where others do."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: nobody, on every Linux.
NOBODY: Final = 65534


def as_nobody(question: Callable[[], str]) -> str:
    """What `question` answers in a child process of the user nobody; of ours, if we are not root."""

    def without_rights() -> str:
        become_nobody()
        return question()

    return in_child(without_rights)


def become_nobody() -> None:
    """Give up the rights of root, if this process has them."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def in_child(question: Callable[[], str]) -> str:
    """What `question` answers in a child process, which may do to itself what it likes."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _answer(question, writing)
    os.close(writing)
    with os.fdopen(reading) as answers:
        answer = answers.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, answer
    return answer


def _answer(question: Callable[[], str], writing: int) -> None:
    status = 1
    try:
        os.write(writing, question().encode())
        status = 0
    except BaseException:  # noqa: BLE001 - the parent tells it
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(status)
