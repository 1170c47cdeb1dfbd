"""Asking an agent for its status, in every state that it can be in."""

from __future__ import annotations

import json
import os
import select
import signal
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import validate

from pattoo_mp import paths
from pattoo_mp.cli import main
from pattoo_mp.cli.status import exit_status, fetch_status
from pattoo_mp.control.run_directory import PidLock
from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent
from tests.support.statuses import server_gone, status, two_outputs
from tests.support.unprivileged import as_nobody
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def control(home: Path, answer: Callable[[StatusSocket], None]) -> Iterator[Agent]:
    """An agent whose control process only holds its lock and answers with `answer`."""
    pid = os.fork()
    if pid == 0:
        try:
            lock = PidLock(paths.pid_file(home))
            socket = StatusSocket(paths.status_socket(home))
            while lock:
                select.select([socket], [], [])
                answer(socket)
        finally:
            os._exit(0)
    agent = Agent(home)
    try:
        wait_for(lambda: agent.pid and paths.status_socket(home).exists(), what="control")
        yield agent
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def answering(given: dict[str, Any]) -> Callable[[StatusSocket], None]:
    """Answer with the status `given`."""
    return lambda socket: socket.answer(given)


def test_the_answer_of_an_agent_is_returned_as_it_is(home: Path) -> None:
    """Nothing is added or left out."""
    given = server_gone()
    with control(home, answering(given)) as agent:
        assert fetch_status(agent) == json.loads(json.dumps(given))


def test_an_agent_that_hangs_up_is_silent(home: Path) -> None:
    """Its process runs, but does not answer."""
    with control(home, lambda socket: socket._socket.accept()[0].close()) as agent:
        assert fetch_status(agent) == {
            "schema": 1, "state": "silent", "control": {"pid": agent.pid},
            "troubles": [{"code": "control_silent", "subject": "", "since_ms": 0}],
        }  # fmt: skip


def test_an_agent_that_ends_while_asked_is_stopped(home: Path) -> None:
    """It is not reported as silent."""
    with control(home, lambda _: os._exit(0)) as agent:
        assert fetch_status(agent)["state"] == "stopped"


def test_a_stopped_agent_is_reported_with_its_files(home: Path) -> None:
    """Another agent, with other files, may be running."""
    assert fetch_status(Agent(home, home / "etc")) == {
        "schema": 1, "state": "stopped", "troubles": [],
        "pid_file": str(paths.pid_file(home)), "configuration": str(home / "etc"),
        "cut_short_pid": 0,
    }  # fmt: skip


def test_a_status_of_another_release_is_an_error(home: Path) -> None:
    """The files were replaced under a running agent."""
    with (
        control(home, answering({**status(), "schema": 2})) as agent,
        pytest.raises(PattooError, match=r"schema 2; expected 1: .*, use --restart"),
    ):
        fetch_status(agent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_asking_without_permission_is_an_error(home: Path) -> None:
    """Another user sees that the agent runs; it must not look as if it hangs."""

    def error() -> str:
        with pytest.raises(PattooError) as caught:
            fetch_status(Agent(home))
        return str(caught.value)

    with control(home, answering(status())) as agent:
        pid_file = paths.pid_file(home)
        for path in (home, pid_file.parent, pid_file):
            path.chmod(0o755)
        assert as_nobody(error) == (
            f"process {agent.pid}: no permission to ask for its status, as nobody: root runs "
            "it; expected its user or root"
        )


@pytest.mark.parametrize(
    ("given", "expected"),
    [(status(), 0), (server_gone(), 1), ({"state": "stopped", "troubles": []}, 3)],
)
def test_the_exit_status_says_whether_it_is_well(given: dict[str, Any], expected: int) -> None:
    """0 well, 1 in trouble, 3 stopped."""
    assert exit_status(given) == expected


# One output of several.


@pytest.fixture
def configured(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of an agent that the commands find."""
    directory = home / "etc"
    directory.mkdir()
    (directory / "pattoo.yaml").write_text(
        f"pattoo:\n  log_directory: {home}\n  cache_directory: {home}\n  daemon_directory: {home}\n"
    )
    monkeypatch.setenv("PATTOO_CONFIGDIR", str(directory))
    return home


def in_trouble() -> dict[str, Any]:
    """The status of two outputs, of which the second is in trouble, and the agent in none."""
    gone = server_gone()["troubles"]
    return {**two_outputs(), "troubles": [{**trouble, "output": "metrics"} for trouble in gone]}


def test_one_output_is_shown_with_its_own_troubles(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a monitoring system can watch each by itself."""
    with control(configured, answering(in_trouble())):
        assert main(["--status"]) == 1
        capsys.readouterr()
        assert main(["--status", "--output", "pattoo"]) == 0
        assert "Trouble" not in capsys.readouterr().out
        assert main(["--status", "--output", "metrics", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    validate(shown, json.loads((files("pattoo_mp.control") / "status.schema.json").read_text()))
    assert [output["name"] for output in shown["outputs"]] == ["metrics"]
    assert shown["polls"]["dropped"] == {"the spool is full": 12}


def test_an_unknown_output_is_bad_usage_and_a_stopped_agent_has_none(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names those that there are, and the one that was probably meant."""
    with control(configured, answering(in_trouble())):
        assert main(["--status", "--output", "metric"]) == 2
    expected = "no such output; did you mean metrics? expected pattoo or metrics"
    assert expected in capsys.readouterr().err
    assert main(["--status", "--output", "metric"]) == 3


def test_the_names_of_outputs_are_printed_for_a_shell(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is more than a word is left out; nothing is printed if no agent answers."""
    for name in ("$(touch x)", "a b", "-x", "", "a\n"):
        with control(configured, answering(two_outputs(name))):
            assert main(["--output-names"]) == 0
        assert capsys.readouterr() == ("pattoo\n", "")
    assert main(["--output-names"]) == 0
    assert capsys.readouterr() == ("", "")
