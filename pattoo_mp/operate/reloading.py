"""Asks a running agent to reload, and waits for its answer."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.operate.signalling import send

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.operate.agent import Agent

    Answer = dict[str, Any]

#: Until both workers go by the new settings: one may be in the middle of a slow sync.
RELOAD_S: Final = 15.0
_LOOK_S: Final = 0.05


def reload(agent: Agent, pid: int, within_s: float = RELOAD_S) -> list[str]:
    """Have `agent`, whose control process is `pid`, read its configuration anew and go by it.

    What counts is what the agent itself finds in its files, which may be others than ours.
    Returns the names of the settings that have changed. Raises `ConfigError` with the lines of a
    configuration that it refuses, and `PattooError` if it does not go by it in time.
    """
    until = time.monotonic() + within_s
    now = _answer(agent, pid, until, lambda _: True)
    # One that is under way has a number to come, and may not see our files.
    before = now["number"] + (1 if now.get("reading") else 0)
    send(pid, signal.SIGHUP)
    # Any reading that began after that answer has seen our files, whoever else asked for it.
    found = _answer(agent, pid, until, lambda answer: answer["number"] > before)
    if found["problems"]:
        raise ConfigError(found["problems"])
    _answer(agent, pid, until, lambda answer: not answer["waiting_for"])
    return list(found["changed"])


def _answer(agent: Agent, pid: int, until: float, enough: Callable[[Answer], bool]) -> Answer:
    """What control says of its last reading, as soon as it is `enough`."""
    answer: Answer = {}
    while True:
        if agent.pid != pid:
            raise PattooError(f"the agent (process {pid}) ended before it had reloaded")
        with contextlib.suppress(OSError):
            answer = _ask(agent, pid)
            if enough(answer):
                return answer
        if time.monotonic() >= until:
            raise PattooError(_not_in_time(pid, answer))
        time.sleep(_LOOK_S)


def _ask(agent: Agent, pid: int) -> Answer:
    answer: Answer | None = agent.status().get("reload")
    if answer is None:
        raise PattooError(f"process {pid} is of a release that cannot reload; restart it")
    return answer


def _not_in_time(pid: int, answer: Answer) -> str:
    late = answer.get("waiting_for")
    if late:
        return (
            f"the new settings are read, but the {' and the '.join(late)} does not go by them yet; "
            f"it will as soon as it can"
        )
    return f"the agent (process {pid}) does not answer; --status tells more"
