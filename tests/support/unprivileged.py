"""Runs a question as a user without rights: root sees no trouble where others do."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent

#: nobody, on every Linux.
NOBODY: Final = 65534


def as_nobody(question: Callable[[], str]) -> str:
    """What `question` answers in a child process of the user nobody; of ours, if we are not root."""

    def without_rights() -> str:
        become_nobody()
        return question()

    return in_child(without_rights)


def run_by_nobody(agent: Agent) -> None:
    """Have the commands of `agent` run by the user nobody; skips the test where that cannot be.

    A Python that lies in root's home is closed to that user. The system's, if it is of the same
    version, can be had with our libraries.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can run a command as another")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    libraries = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    for python in (sys.executable, f"/usr/bin/{version}"):
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", python]
        # By way of another, for a first one may be let in as root was.
        inner = f"import subprocess as s, psutil; s.run(['{python}', '-c', ''], check=True)"
        environment = {"PYTHONPATH": libraries} if python != sys.executable else {}
        done = subprocess.run(
            [*command, "-c", inner], env={**os.environ, **environment}, capture_output=True,
            check=False,
        )  # fmt: skip
        if done.returncode == 0:
            agent.command = [*command, *agent.command[1:]]
            agent.environment |= environment
            return
    pytest.skip("no Python that others may run")


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
