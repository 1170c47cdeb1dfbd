"""A status that another user made up: it neither controls root's terminal nor delays or breaks a command."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.agent import NAME, ROOT
from tests.support.statuses import status as well
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


#: Holds the lock of the agent in the directory argv[1], and answers each question with the file argv[3] on
#: the socket argv[2], a byte at a time if argv[4] says so. It ignores SIGHUP.
IMPOSTOR = """
import signal, socket, sys, threading, time
from pathlib import Path
from setproctitle import setproctitle
from pattoo_mp.control.run_directory import locked_run
from pattoo_mp.program import AUTONOMOUS
setproctitle(f"{AUTONOMOUS.name}: control")
def drip(caller, answer):
    with caller:
        for byte in answer:
            caller.sendall(bytes([byte]))
            time.sleep(0.2)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
answer = Path(sys.argv[3]).read_bytes()
with locked_run(Path(sys.argv[1])), socket.socket(socket.AF_UNIX) as listening:
    Path(sys.argv[2]).parent.mkdir(exist_ok=True)
    listening.bind(sys.argv[2])
    listening.listen()
    while True:
        caller, _ = listening.accept()
        if sys.argv[4] == "drip":
            threading.Thread(target=drip, args=(caller, answer), daemon=True).start()
            continue
        with caller:
            caller.sendall(answer)
"""
COMMANDS = (
    ("--status",), ("--status", "--json"), ("--stop",), ("--stop", "--force"), ("--restart",), ("--reload",),
    ("--doctor",),
)  # fmt: skip


@contextlib.contextmanager
def impostor(agent: Agent, document: object, how: str = "at once") -> Iterator[None]:
    """Run a process that looks like the control process of `agent` and answers with `document`."""
    directory = agent.home / "daemon"
    place = directory / "run" / f"{NAME}.sock"
    answer = agent.home / "answer"
    answer.write_text(json.dumps(document))
    with subprocess.Popen(
        [sys.executable, "-c", IMPOSTOR, directory, place, answer, how], start_new_session=True, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            wait_for(place.exists, what="the socket")
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("words", COMMANDS)
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
    document["workers"]["x" + TRICK] = document["workers"]["uploader"]
    with impostor(agent, document):
        done = agent.run(*words, timeout=100)
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed
    assert [c for c in printed if c != "\n" and not c.isprintable()] == []
    assert "\nDaemon is running" not in printed.replace(f"\nDaemon is running - {NAME}", "")


def without(status: dict[str, Any], key: str) -> dict[str, Any]:
    """`status` without one key."""
    return {name: value for name, value in status.items() if name != key}


@pytest.mark.parametrize("words", [("--status",), ("--stop",), ("--reload",)])
@pytest.mark.parametrize(
    "document",
    [
        7, {"schema": 2, "state": "running"}, {**well(), "polls": 7}, {**well(), "now_ms": 10**300},
        without(well(), "reload"),
    ],
)  # fmt: skip
def test_wrong_types_in_a_status_are_no_traceback(
    make_agent: MakeAgent, words: tuple[str, ...], document: object
) -> None:
    """What needs the status says so in one line; what does not works."""
    agent = make_agent()
    with impostor(agent, document):
        done = agent.run(*words, timeout=100)
    assert "Traceback" not in done.stderr
    if words[0] in {"--status", "--reload"}:
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) <= 1
        assert done.stderr or "does not answer" in done.stdout or "control_silent" in done.stdout
    if words[0] == "--stop":
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [("--status",), ("--stop",), ("--reload",), ("--doctor",)])
def test_an_answer_that_drips_holds_no_command(
    make_agent: MakeAgent, words: tuple[str, ...]
) -> None:
    """At five bytes a second it would take many minutes, and each byte comes in time."""
    agent = make_agent()
    with impostor(agent, well(), "drip"):
        done = agent.run(*words, timeout=45)
    assert "Traceback" not in done.stderr
    if words == ("--status",):
        assert "does not answer" in done.stdout
