"""A status that another user made up: no command lets it control the terminal of root."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.agent import NAME
from tests.support.statuses import status as well
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]

#: Clears the screen, rings, C1's CSI, right to left, and a second line that looks like an answer.
TRICK = "\x1b[2J\x07\x9b31m\u202e\nDaemon is running"


def poisoned(value: Any) -> Any:  # noqa: ANN401 - JSON
    """`value` with the trick in each string that is no code and no key."""
    if isinstance(value, dict):
        kept = {"state", "code", "subject"}
        return {key: each if key in kept else poisoned(each) for key, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each) for each in value]
    return value + TRICK if isinstance(value, str) else value


#: Holds the lock of the agent in the directory argv[1], and answers each question with argv[3] on the
#: socket argv[2]. It ignores what commands send to it.
IMPOSTOR = """
import signal, socket, sys
from pathlib import Path
from pattoo_mp.control.run_directory import locked_run
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with locked_run(Path(sys.argv[1])), socket.socket(socket.AF_UNIX) as listening:
    Path(sys.argv[2]).parent.mkdir(exist_ok=True)
    listening.bind(sys.argv[2])
    listening.listen()
    while True:
        with listening.accept()[0] as caller:
            caller.sendall(sys.argv[3].encode())
"""


@pytest.mark.parametrize(
    "words", [("--status",), ("--status", "--json"), ("--stop",), ("--restart",), ("--reload",), ("--doctor",)]
)  # fmt: skip
def test_no_control_character_of_a_status_reaches_the_terminal(
    make_agent: MakeAgent, words: tuple[str, ...]
) -> None:
    """Neither on stdout nor on stderr, and no line of its own."""
    agent = make_agent()
    document = poisoned(well())
    document["polls"]["in_channel"] = 7
    document["troubles"] = [{"code": "spool_takes_nothing", "subject": "", "since_ms": 0}]
    document["workers"]["uploader"]["troubles"] = {"spool" + TRICK: TRICK, "spool": TRICK}
    document["reload"] = {
        **document["reload"], "number": 1, "problems": [TRICK], "changed": [TRICK],
        "waiting_for": [TRICK], "reading": False,
    }  # fmt: skip
    directory = agent.home / "daemon"
    place = directory / "run" / f"{NAME}.sock"
    command = [sys.executable, "-c", IMPOSTOR, str(directory), str(place), json.dumps(document)]
    with subprocess.Popen(command, start_new_session=True) as impostor:
        try:
            wait_for(place.exists, what="the socket")
            done = agent.run(*words, timeout=100)
        finally:
            impostor.kill()
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed
    assert [c for c in printed if c != "\n" and not c.isprintable()] == []
    assert "\nDaemon is running" not in printed.replace(f"\nDaemon is running - {NAME}", "")
