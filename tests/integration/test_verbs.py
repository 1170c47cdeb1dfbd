"""The verbs of the command line with the real agent."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import NAME, opened_by
from tests.support.hanging import file_hangs
from tests.support.server import PattooServer, hanging
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]

RUNNING = f"Daemon is running - {NAME}"
STOPPED = f"Daemon is stopped - {NAME}"


def titles(agent: Agent) -> list[str]:
    """Return the titles of the agent's processes, as `ps` shows them."""
    return sorted(
        Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0") for pid in agent.processes()
    )


def test_start_returns_once_polls_are_stored_and_stop_leaves_nothing(make_agent: MakeAgent) -> None:
    """--start exits 0 with polls in the spool; --stop exits 0 with no process left."""
    agent = make_agent(interval=300)
    done = agent.run("--start")
    assert (done.returncode, done.stderr) == (0, "")
    assert agent.status()["polls"]["polled"] >= 1
    assert agent.status()["polls"]["in_channel"] == 0
    assert len(agent.processes()) == 3
    # None of them has anything open of the terminal that started it.
    opened = [name for pid in agent.processes() for name in opened_by(Path(f"/proc/{pid}"))]
    assert not [name for name in opened if name.startswith("pipe:")]
    done = agent.run("--stop")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{STOPPED}\n", "")
    assert agent.processes() == []


def test_status_begins_with_the_known_line(make_agent: MakeAgent, server: PattooServer) -> None:
    """More lines follow, and the exit status is 0 or 3."""
    agent = make_agent(port=server.port)
    done = agent.run("--status")
    assert (done.returncode, done.stdout) == (3, agent.stopped)
    agent.start()
    wait_for(server.timestamps, what="a post")
    done = agent.run("--status")
    first, *rest = done.stdout.splitlines()
    assert (done.returncode, first) == (0, RUNNING)
    for label in (
        "Control",
        "Collector",
        "Uploader",
        "Last poll",
        "Last post",
        "Waiting",
        "Dropped",
    ):
        assert any(line.strip().startswith(label) for line in rest), label
    agent.stop()
    assert agent.run("--status").returncode == 3


def test_a_relative_configuration_directory_means_the_same_to_all_processes(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The control process has another working directory, and must not look for the directory there."""
    agent = make_agent(port=server.port)
    done = subprocess.run(
        [*agent.command, "--start"], cwd=agent.home, capture_output=True, text=True, timeout=60,
        env={**agent.env(), "PATTOO_CONFIGDIR": "etc"}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"(process {agent.pid})" in done.stdout
    assert agent.run("--status").returncode == 0


def in_shell(agent: Agent, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a shell."""
    return subprocess.run(
        ["sh", "-c", command], env=agent.env(), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_a_reader_that_stops_early_causes_no_error(make_agent: MakeAgent) -> None:
    """`--status | head -1` prints nothing on stderr."""
    agent = make_agent()
    agent.start()
    command = f"{' '.join(agent.command)} --status | head -c 1"
    for _ in range(5):
        done = in_shell(agent, command)
        assert (done.stdout, done.stderr) == ("D", "")


@pytest.mark.parametrize("what", ["--help", "--version", "--sample-config", "--check"])
def test_output_that_cannot_be_written_causes_no_traceback(
    make_agent: MakeAgent, what: str
) -> None:
    """Into a pipe that is closed, and to a full device."""
    agent = make_agent()
    # Buffered as usual: argparse silently ignores errors of unbuffered output.
    command = f"env -u PYTHONUNBUFFERED {' '.join(agent.command)} {what}"
    gone = in_shell(agent, f"{command} | true")
    assert gone.stderr == ""
    full = in_shell(agent, f"{command} > /dev/full")
    assert (full.returncode, full.stderr) == (
        1, f"{NAME}: error: stdout: no space left on its device; expected room for the "
        "output\n",
    )  # fmt: skip


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_every_verb_works_without_standard_streams(
    make_agent: MakeAgent, server: PattooServer, closed: str
) -> None:
    """A parent process may leave none of them open."""
    agent = make_agent(port=server.port)
    for verb in ("--check", "--start", "--status", "--reload", "--stop"):
        done = in_shell(agent, f"{' '.join(agent.command)} {verb} {closed}")
        assert (verb, done.returncode, done.stderr) == (verb, 0, "")
    assert agent.run("--status").returncode == 3
    assert "Traceback" not in agent.log


def test_output_to_a_file_that_may_not_grow_causes_no_traceback(make_agent: MakeAgent) -> None:
    """One line, as for a full disk."""
    agent = make_agent()
    done = in_shell(agent, f"ulimit -f 0; {' '.join(agent.command)} --status > {agent.home}/status")
    assert done.returncode == 1
    assert done.stderr == (
        f"{NAME}: error: stdout: its file may not grow (ulimit -f); expected room for the output\n"
    )


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_an_unusable_pid_file_is_reported(make_agent: MakeAgent, kind: str) -> None:
    """An agent cannot lock it, so it does not run, and cannot start."""
    agent = make_agent()
    place = agent.home / "daemon" / "pid" / f"{NAME}.pid"
    place.parent.mkdir(parents=True)
    place.mkdir() if kind == "directory" else os.mkfifo(place)
    for verb, status in (("--status", 3), ("--stop", 0)):
        done = agent.run(verb)
        assert (done.returncode, done.stdout, done.stderr) == (status, agent.stopped, "")
    done = agent.run("--start")
    assert done.returncode == 1
    assert f"{place}: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["collector", "uploader"])
def test_a_stopped_worker_does_not_delay_a_stop(make_agent: MakeAgent, name: str) -> None:
    """A worker under SIGSTOP is continued, so that it ends in order and loses nothing."""
    agent = make_agent()
    agent.start()
    agent.signal(name, "SIGSTOP")
    assert agent.run("--stop").returncode == 0
    assert agent.processes() == []
    assert "killed" not in agent.log
    assert "lost" not in agent.log


def test_a_running_agent_is_found_again_after_its_files_were_removed(
    make_agent: MakeAgent,
) -> None:
    """It makes PID file, socket and log again, and --stop works."""
    agent = make_agent()
    agent.start()
    pid = agent.pid
    shutil.rmtree(agent.home / "daemon")
    shutil.rmtree(agent.home / "log")
    wait_for(lambda: agent.pid == pid, what="the lock")
    wait_for(lambda: agent.run("--status").stdout.count("Collector"), what="the socket")
    assert agent.run("--start").returncode == 1
    assert agent.run("--reload").returncode == 0
    assert "nothing has changed" in agent.log
    agent.stop()
    assert agent.processes() == []


def test_a_second_start_fails(make_agent: MakeAgent) -> None:
    """--start of a running agent exits 1, names its process, and does not touch it."""
    agent = make_agent()
    agent.start()
    pid = agent.pid
    done = agent.run("--start")
    assert done.returncode == 1
    assert f"runs already, as process {pid}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert agent.pid == pid
    done = agent.run("--foreground")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_restart_replaces_every_process(make_agent: MakeAgent) -> None:
    """--restart of a stopped agent starts it."""
    agent = make_agent()
    assert agent.run("--restart").returncode == 0
    before = set(agent.processes())
    assert agent.run("--restart").returncode == 0
    after = set(agent.processes())
    assert len(after) == 3
    assert not before & after


def test_force_kills_the_group_even_if_it_is_stopped(make_agent: MakeAgent) -> None:
    """--stop --force ends an agent whose processes all hang; --restart --force starts it again."""
    agent = make_agent()
    agent.start()
    for pid in agent.processes():
        os.kill(pid, signal.SIGSTOP)
    done = agent.run("--restart", "--force")
    assert done.returncode == 0, done.stderr
    for pid in agent.processes():
        os.kill(pid, signal.SIGSTOP)
    done = agent.run("--stop", "--force")
    assert (done.returncode, done.stdout) == (0, f"{STOPPED}\n")
    assert agent.processes() == []
    assert agent.run("--status").returncode == 3


def test_stop_is_bounded_while_the_server_hangs(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """--stop during a post without an answer ends in order, and keeps every poll."""
    over = threading.Event()
    server.behaviour = hanging(over)
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(lambda: server.attempts, what="a post")
    done = agent.run("--stop", timeout=20)
    over.set()
    assert done.returncode == 0
    assert agent.processes() == []
    assert "killed" not in agent.log
    assert "lost" not in agent.log


def test_stop_of_a_stopped_agent_is_no_error(make_agent: MakeAgent) -> None:
    """--stop exits 0, since the goal is reached, and says where it looked."""
    agent = make_agent()
    done = agent.run("--stop")
    assert (done.returncode, done.stdout) == (0, agent.stopped)


def test_a_stale_pid_file_is_harmless(make_agent: MakeAgent) -> None:
    """A PID file with the number of another process is no running agent, and that process gets no signal."""
    agent = make_agent()
    agent.start()
    agent.stop()
    with subprocess.Popen(["sleep", "60"]) as other:
        pid_file = agent.home / "daemon" / "pid" / f"{NAME}.pid"
        pid_file.write_text(f"{other.pid}\n")
        assert agent.run("--status").returncode == 3
        assert agent.run("--stop").returncode == 0
        assert agent.run("--stop", "--force").returncode == 0
        assert other.poll() is None
        agent.start()
        assert agent.pid != other.pid
        assert pid_file.read_text() == f"{agent.pid}\n"
        other.kill()


def test_status_is_right_after_a_sigkill(make_agent: MakeAgent, server: PattooServer) -> None:
    """The agent is stopped, no worker outlives control, and it can be started again.

    Until then the status reports that the last run did not end in order; the new run's first line does, too.
    """
    agent = make_agent(port=server.port)
    agent.start()
    pid = agent.pid
    assert agent.cut_short_pid == 0
    os.kill(pid or 0, signal.SIGKILL)
    wait_for(lambda: not agent.processes(), what="the end of the workers")
    done = agent.run("--status")
    assert done.returncode == 3
    assert f"process {pid} did not end in order" in done.stdout.splitlines()[2]
    assert agent.cut_short_pid == pid
    before = len(agent.log)
    agent.start()
    assert agent.run("--status").returncode == 0
    first, *rest = agent.log[before:].splitlines()
    assert f"The last run (process {pid}) did not exit cleanly" in first
    assert not [line for line in rest if "exit cleanly" in line]


@pytest.mark.parametrize("how", ["--stop", "--force", "SIGTERM", "SIGINT"])
def test_a_requested_end_is_not_reported_as_a_crash(make_agent: MakeAgent, how: str) -> None:
    """Neither by --status nor by the next start."""
    agent = make_agent()
    agent.start()
    if how.startswith("SIG"):
        os.kill(agent.pid or 0, signal.Signals[how])
        wait_for(lambda: not agent.processes(), what="the end")
    else:
        agent.run(*dict.fromkeys(["--stop", how]))
    assert agent.pid is None
    assert agent.run("--status").stdout == agent.stopped
    assert agent.cut_short_pid == 0
    agent.start()
    assert "did not exit cleanly" not in agent.log


def test_status_of_a_control_process_that_hangs_is_bounded(make_agent: MakeAgent) -> None:
    """--status reports that it runs and does not answer, and exits 1."""
    agent = make_agent()
    agent.start()
    os.kill(agent.pid or 0, signal.SIGSTOP)
    done = agent.run("--status", timeout=20)
    assert done.returncode == 1
    assert done.stdout.startswith(RUNNING)
    assert "does not answer" in done.stdout


@pytest.mark.parametrize(
    "words",
    [(), ("--force",), ("--start", "--stop"), ("--start", "--force"), ("--status", "--force"),
     ("--start", "--watch"), ("--stop", "--json"),
     ("--sta",), ("--start", "more"), ("--foreground", "--force")],
)  # fmt: skip
def test_bad_usage_exits_2_with_one_line_on_stderr(
    make_agent: MakeAgent, words: tuple[str, ...]
) -> None:
    """Exactly one verb is required, and --force only goes with --stop or --restart."""
    done = make_agent().run(*words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"usage: {NAME} VERB [OPTION]: error: ")
    assert line.endswith("; see --help")
    assert done.stdout == ""


def test_an_agent_runs_by_verbs_without_dashes(make_agent: MakeAgent, server: PattooServer) -> None:
    """A day of it, abbreviated."""
    agent = make_agent(port=server.port)
    assert agent.run("start").returncode == 0
    assert agent.run("stat").stdout.startswith(RUNNING)
    assert agent.run("reload").returncode == 0
    assert agent.run("sto").returncode == 0
    assert agent.run("status").returncode == 3


@pytest.mark.parametrize("word", ["foreground", "fore", "--foreg"])
def test_foreground_in_other_words_becomes_the_lean_control_process(
    make_agent: MakeAgent, word: str, tmp_path: Path
) -> None:
    """Whoever supervises it sees one process, which has no parser of command lines in the end."""
    agent = make_agent()
    # Each process that binds a socket says whether it has a parser, and by which words it was started.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'socket.bind':\n"
        f"        with open({str(tmp_path / 'modules')!r}, 'a') as file:\n"
        "            print(os.getpid(), 'argparse' in sys.modules, sys.argv[1:], file=file)\n"
        "sys.addaudithook(hook)\n"
    )
    agent.environment["PYTHONPATH"] = str(tmp_path)
    command = [*agent.command, word]
    with subprocess.Popen(command, env=agent.env(), stderr=subprocess.DEVNULL) as control:
        try:
            wait_for(lambda: agent.pid == control.pid, what="the control process")
            wait_for((tmp_path / "modules").exists, what="its socket")
            assert agent.run("stop").returncode == 0
        finally:
            control.kill()
    exact = word if word == "foreground" else "--foreground"
    assert f"{control.pid} False {[exact]}" in (tmp_path / "modules").read_text().splitlines()


def test_help_has_the_known_sentences(make_agent: MakeAgent) -> None:
    """Users of pattoo agents know them."""
    text = " ".join(make_agent().run("--help").stdout.split())
    for sentence in (
        "--start Start the agent daemon.",
        "--stop Stop the agent daemon.",
        "--status Get daemon status.",
        "--restart Restart the agent daemon.",
        "--force Stops or restarts the agent daemon ungracefully when used with --stop or --restart.",
    ):
        assert sentence in text


def test_processes_have_titles_and_one_group(make_agent: MakeAgent) -> None:
    """`ps` shows what each process is, and one signal to the group reaches all."""
    agent = make_agent()
    agent.start()
    assert [title.split(" every")[0].split(" to ")[0] for title in titles(agent)] == [
        f"{NAME}: collector",
        f"{NAME}: control",
        f"{NAME}: uploader",
    ]
    assert {os.getpgid(pid) for pid in agent.processes()} == {agent.pid}


def test_a_failing_start_gives_the_reason(make_agent: MakeAgent) -> None:
    """If the spool cannot be used, --start exits 1 with one line and leaves no process."""
    agent = make_agent()
    agent.spool.parent.mkdir(parents=True)
    agent.spool.mkdir()
    done = agent.run("--start")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(agent.spool) in done.stderr
    assert agent.processes() == []


def test_an_agent_outlives_an_interrupted_start(make_agent: MakeAgent) -> None:
    """After Ctrl-C or a lost connection before polls are stored, it polls and can be stopped."""
    agent = make_agent()
    reading, writing = os.pipe()
    with agent.foreground(
        "--ready-fd",
        str(writing),
        start_new_session=True,
        pass_fds=[writing],
        stderr=subprocess.PIPE,
    ) as control:
        os.close(writing)
        os.close(reading)
        wait_for(lambda: agent.pid, what="its lock")
        wait_for(lambda: agent.status()["polls"]["in_spool"] > 2, what="polls that are kept")
        agent.stop()
        assert control.communicate(timeout=20)[1] == ""
    assert control.returncode == 0
    assert "by an error" not in agent.log


def test_a_killed_collector_is_replaced(make_agent: MakeAgent) -> None:
    """Only a few ticks are missed, and counted."""
    agent = make_agent()
    agent.start()
    before = agent.worker("collector")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: agent.worker("collector") != before, what="another collector")
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["polled"] > polled, what="the next poll")
    status = agent.status()
    assert set(status["missed"]) <= {"the collector was down", "late"}
    assert status["workers"]["collector"]["last_death"] == "signal SIGKILL"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_group_ends_the_agent_in_order(make_agent: MakeAgent, number: int) -> None:
    """SIGTERM or SIGINT to all processes at once loses no poll."""
    agent = make_agent()
    agent.start()
    os.killpg(agent.pid or 0, number)
    wait_for(lambda: not agent.processes(), what="the end")
    assert "Stopped." in agent.log
    assert "lost" not in agent.log
    assert agent.run("--status").returncode == 3


@pytest.mark.parametrize("name", ["collector", "uploader"])
def test_a_worker_that_gets_sigterm_is_replaced(make_agent: MakeAgent, name: str) -> None:
    """It ends in order, and control starts another one."""
    agent = make_agent()
    agent.start()
    before = agent.worker(name)
    os.kill(before, signal.SIGTERM)
    wait_for(lambda: agent.worker(name) != before, what="another worker")
    assert agent.status()["workers"][name]["last_death"] == "exit status 0"
    assert agent.status()["polls"]["dropped"] == {}


@pytest.mark.parametrize("verb", ["--status", "--stop", "--reload"])
def test_commands_do_not_wait_for_files_that_hang(make_agent: MakeAgent, verb: str) -> None:
    """Each ends with one line and exit status 2, and leaves no process."""
    agent = make_agent()
    with file_hangs(agent.configuration / "pattoo.yaml"):
        done = agent.run(verb, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    # --stop adds a line for each agent that runs on this host, if any do.
    assert done.stderr.splitlines()[0] == (
        f"{NAME}: error: {agent.configuration}: no answer within 5 s; expected files "
        "that can be read"
    )
    wait_for(lambda: not agent.processes(), what="the end of who was killed")


def test_a_broken_configuration_leaves_a_way_to_stop_the_agent(make_agent: MakeAgent) -> None:
    """--stop cannot find the agent by it; it names the control processes, each with its PID file.

    A process that only has the title is none.
    """
    agent = make_agent()
    agent.start()
    agent.write("pattoo.yaml", "pattoo: [")
    titled = subprocess.Popen(
        [f"{NAME}: control", "-c", "import time; time.sleep(60)"], executable=sys.executable
    )
    try:
        done = agent.run("--stop")
    finally:
        titled.kill()
        titled.wait()
    assert done.returncode == 2
    hint = (
        f"process {agent.pid} of {getpass.getuser()} is the control process for {agent.home}/daemon/pid/{NAME}.pid; "
        f"if that is the agent to stop, 'kill {agent.pid}' stops it in order"
    )
    assert hint in done.stderr
    assert f"process {titled.pid} " not in done.stderr
