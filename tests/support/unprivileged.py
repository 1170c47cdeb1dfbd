"""Run code as a user without privileges: root has no trouble where other users have."""

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
BY_NOBODY: Final = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def as_nobody(question: Callable[[], str]) -> str:
    """Return what `question` returns in a child process of the user nobody, or of ours if we are not root."""

    def as_nobody_or_us() -> str:
        become_nobody()
        return question()

    return in_child(as_nobody_or_us)


def run_by_nobody(agent: Agent) -> None:
    """Make the user nobody run the commands of `agent`. Skip the test if that is impossible.

    That user cannot run a Python in root's home. The system's Python, if it has the same version,
    works with our libraries.
    """
    python, environment = python_of_all()
    agent.command = [*BY_NOBODY, python, *agent.command[1:]]
    agent.environment |= environment


def python_of_all() -> tuple[str, dict[str, str]]:
    """A Python that nobody can run, and what it needs in its environment; else skip the test."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a command as another")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    libraries = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    for python in (sys.executable, f"/usr/bin/{version}"):
        # Test in a second process, because the first one may have access that root gave it.
        inner = f"import subprocess as s, psutil; s.run(['{python}', '-c', ''], check=True)"
        environment = {"PYTHONPATH": libraries} if python != sys.executable else {}
        done = subprocess.run(
            [*BY_NOBODY, python, "-c", inner], env={**os.environ, **environment},
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return python, environment
    pytest.skip("no Python that other users may run")


def become_nobody() -> None:
    """Switch to the user nobody, if this process runs as root."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def in_child(question: Callable[[], str]) -> str:
    """Return what `question` returns in a child process, which it may change at will."""
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
    except BaseException:  # noqa: BLE001 - the parent reports it
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(status)
