"""The log of the real agent: three processes write it; it is rotated, reopened, lost and restored."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp import log
from pattoo_mp.util.signals import Wakeup
from tests.support.agent import NAME, ROOT, Agent
from tests.support.unprivileged import NOBODY
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]


def with_settings(agent: Agent, **settings: object) -> None:
    """Add settings to the agent's section."""
    with (agent.configuration / f"{NAME}.yaml").open("a") as file:
        file.writelines(f"  {name}: {value}\n" for name, value in settings.items())


def team(agent: Agent) -> list[int]:
    """Return the processes of control and both workers."""
    return [agent.pid or 0, agent.worker("collector"), agent.worker("uploader")]


def have_open(pids: list[int], path: Path) -> bool:
    """Return whether all these processes have this log file open, and no older one."""
    with contextlib.suppress(OSError):  # open files change while they are listed
        opened = [str(fd.readlink()) for pid in pids for fd in Path(f"/proc/{pid}/fd").iterdir()]
        return [name for name in opened if "pattoo.log" in name] == [str(path)] * len(pids)
    return False


def kill(agent: Agent, name: str) -> None:
    """Kill a worker, and wait until it is replaced."""
    killed = agent.worker(name)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: agent.worker(name) != killed, what=f"another {name}")


def log_of(agent: Agent) -> Path:
    """Return the path of the agent's log."""
    return agent.home / "log" / "pattoo.log"


def test_sigusr1_makes_all_processes_reopen_the_log(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Sent to control, as by logrotate, or to the group. Idle processes reopen it, too."""
    agent = make_agent(port=server.port)
    agent.start()
    before = team(agent)
    path = log_of(agent)
    path.rename(f"{path}.1")
    os.kill(before[0], signal.SIGUSR1)
    wait_for(lambda: have_open(before, path), what="the new file in all processes")
    path.rename(f"{path}.2")
    for _ in range(20):
        os.killpg(before[0], signal.SIGUSR1)
    wait_for(lambda: have_open(before, path), what="the new file in all processes")
    arrived = len(server.timestamps())
    wait_for(lambda: len(server.timestamps()) > arrived + 5, what="more polls")
    assert team(agent) == before
    agent.stop()
    assert "Stopped." in path.read_text()


def test_the_log_is_rotated_when_it_reaches_its_size(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Control rotates it, the workers follow, and no line is lost."""
    agent = make_agent(port=server.port)
    with_settings(agent, log_max_bytes=10_000, log_backups=2)
    path = log_of(agent)
    path.parent.mkdir()
    path.write_text("x" * 10_000 + "\n")
    agent.start()
    wait_for(lambda: path.with_name("pattoo.log.1").exists(), what="a rotation")
    wait_for(lambda: have_open(team(agent), path), what="the new file in all processes")
    agent.stop()
    lines = path.with_name("pattoo.log.1").read_text() + path.read_text()
    for text in ("polls every 0.1 s.", "Stopping: SIGTERM.", "Stopped."):
        assert lines.count(text) == 1, lines
    assert "A poll has" in lines  # again for each mount that a busy host leaves out


def test_each_line_of_a_json_log_is_an_object(make_agent: MakeAgent, server: PattooServer) -> None:
    """All lines of all three processes are, even at level debug."""
    agent = make_agent(port=server.port, log_level="debug")
    with_settings(agent, log_format="json")
    agent.start()
    wait_for(server.timestamps, what="a post")
    os.kill(agent.worker("collector"), signal.SIGKILL)
    wait_for(lambda: "signal SIGKILL" in agent.log, what="a line of the kill")
    agent.stop()
    objects = [json.loads(row) for row in agent.log.splitlines()]
    assert {one["process"] for one in objects} == {"control", "collector", "uploader"}
    assert {"time", "level", "program", "process", "pid", "logger", "message"} <= set(objects[0])
    assert objects[-1]["message"] == "Stopped."


def test_a_reload_changes_the_log_of_all_processes(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Once a worker has applied the new settings, it writes no line in the old format."""
    agent = make_agent(port=server.port)
    agent.start()
    with_settings(agent, log_format="json")
    done = agent.run("--reload")
    assert done.returncode == 0, done.stderr
    before = len(agent.log)
    kill(agent, "collector")
    server.down()
    wait_for(lambda: "next attempt in" in agent.log[before:], what="a line of the uploader")
    wait_for(lambda: '"process": "collector"' in agent.log[before:], what="one of the collector")
    agent.stop()
    objects = [json.loads(row) for row in agent.log[before:].splitlines()]
    assert {one["process"] for one in objects} == {"control", "collector", "uploader"}


def test_a_lasting_trouble_is_logged_at_once_and_then_counted(make_agent: MakeAgent) -> None:
    """Without a server there is one line, and later one with the number of attempts."""
    agent = make_agent()
    agent.start()
    wait_for(lambda: "next attempt in" in agent.log, what="the trouble")
    wait_for(lambda: "(repeated with other figures " in agent.log, what="the count")
    assert agent.log.count("next attempt in") == 2


def test_a_worker_starts_without_a_writable_log(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """It counts the lines that it could not write, and logs their number later."""
    agent = make_agent(port=server.port)
    agent.start()
    path = log_of(agent)
    path.unlink()
    path.mkdir()
    kill(agent, "uploader")
    arrived = len(server.timestamps())
    wait_for(lambda: len(server.timestamps()) > arrived + 5, what="more polls")
    path.rmdir()
    agent.stop()
    assert " could not be written here: Is a directory" in path.read_text()


@pytest.mark.parametrize("verb", ["--start", "--foreground"])
@pytest.mark.parametrize("what", ["identity", "socket"])
def test_an_error_of_a_start_is_once_in_the_log_and_once_on_stderr(
    make_agent: MakeAgent, verb: str, what: str
) -> None:
    """Even with --foreground, where the log goes to stderr, too."""
    agent = make_agent()
    if what == "socket":
        (agent.home / "daemon" / "run" / f"{NAME}.sock").mkdir(parents=True)
        words = "expected a path that can hold the status socket"
    else:
        identity = agent.home / "daemon" / "agent_id" / f"{NAME}.agent_id"
        identity.parent.mkdir(parents=True)
        identity.write_text("nobody")
        words = "the identity is 'nobody'; expected 64 hexadecimal digits"
    done = agent.run(verb)
    assert done.returncode == 1
    (shown,) = [line for line in done.stderr.splitlines() if words in line]
    (logged,) = [line for line in agent.log.splitlines() if words in line]
    assert " ERROR " in logged
    assert logged.endswith(shown.partition(": error: ")[2])


@contextlib.contextmanager
def foreground(agent: Agent, stderr: int, **environment: str) -> Iterator[None]:
    """Run the agent as a supervisor does, with our `stderr`; stop it in order."""
    with agent.foreground(
        env=agent.env() | environment, stderr=stderr, start_new_session=True
    ) as process:
        os.close(stderr)
        yield
        process.terminate()
        assert process.wait(30) == 0


def read_all(descriptor: int) -> list[str]:
    """Return all lines until the end."""
    with open(descriptor) as stream:
        return stream.read().splitlines()


def test_in_the_foreground_each_line_goes_to_stderr_once(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """They are the lines of the log."""
    agent = make_agent(port=server.port)
    reading, writing = os.pipe()
    with foreground(agent, writing):
        wait_for(server.timestamps, what="a post")
    assert sorted(read_all(reading)) == sorted(agent.log.splitlines())


def test_under_systemd_stderr_has_priorities_and_no_times(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """The journal adds the time. The log file has it as usual."""
    agent = make_agent(port=server.port)
    reading, writing = os.pipe()
    found = os.fstat(writing)
    with foreground(agent, writing, JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}"):
        pid = wait_for(lambda: agent.pid, what="the agent")
        wait_for(server.timestamps, what="a post")
    lines = read_all(reading)
    assert lines[-1] == f"<6>[control {pid}] Stopped."
    assert f"INFO [control {pid}] Stopped." in agent.log
    assert len(lines) == len(agent.log.splitlines())


def test_a_supervisor_that_does_not_read_stderr_blocks_nothing(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """Its pipe is full from the start. Polls arrive, and the log has every line."""
    agent = make_agent(port=server.port)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    with foreground(agent, writing):
        wait_for(lambda: len(server.timestamps()) > 5, what="polls")
    os.close(reading)
    assert "Stopped." in agent.log


def test_the_count_of_repeated_lines_is_logged_by_an_idle_process(home: Path) -> None:
    """A process whose loop waits without end is woken for it."""
    path = home / "pattoo.log"
    pid = os.fork()
    if pid == 0:
        log.set_up(log.LogSettings(path, repeats_s=(3.0, 60.0)), "idle")
        for _ in range(241):
            logging.getLogger("test").warning("No room.")
        wakeup = Wakeup((signal.SIGTERM,), log.SIGNAL_ACTIONS)
        while not wakeup.take():
            select.select([wakeup], [], [])
        os._exit(0)
    try:
        wait_for(path.exists, what="the first line")
        wait_for(lambda: "No room. (repeated 240 times in the last" in path.read_text())
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0
    assert len(path.read_text().splitlines()) == 2


def test_the_shipped_logrotate_file_rotates_a_running_agents_log(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """With logrotate itself, or, if it is not installed, with the commands of the file."""
    agent = make_agent(port=server.port)
    with_settings(agent, log_max_bytes=0)
    agent.start()
    adapted = logrotate_file(agent)
    path = log_of(agent)
    logrotate = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    if logrotate:
        configuration = agent.home / "logrotate.conf"
        configuration.write_text(adapted)
        configuration.chmod(0o644)
        run(logrotate, "--force", "--state", agent.home / "state", configuration)
    else:
        path.rename(f"{path}.1")
        run("sh", "-ec", postrotate(adapted))
    wait_for(lambda: have_open(team(agent), path), what="the new file in all processes")
    agent.stop()
    assert "polls every 0.1 s." in path.with_name("pattoo.log.1").read_text()
    assert "Stopped." in path.read_text()


def logrotate_file(agent: Agent) -> str:
    """The shipped file for logrotate, adapted as it says."""
    shipped = (ROOT / "conf" / "pattoo.logrotate").read_text()
    adapted = shipped.replace("/var/log/pattoo", f"{agent.home}/log")
    adapted = adapted.replace("/var/lib/pattoo", f"{agent.home}/daemon")
    return adapted.replace("    su pattoo pattoo\n", "")


def postrotate(file: str) -> str:
    """The commands that logrotate runs as root after a rotation."""
    return file.partition("postrotate\n")[2].partition("endscript")[0]


#: Arguments: a file, and a user. Becomes a process of that user with the title of a control process, which
#: writes to the file that it was signalled.
SIGNALLED = """
import os, pathlib, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: pathlib.Path(sys.argv[1]).write_text("signalled"))
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    "content", ["{pid}", "-1", "-{pid}", "self", "1 -{pid}", "{pid}\n-1", "0{pid}"]
)
def test_logrotate_signals_only_what_is_a_control_process(
    make_agent: MakeAgent, content: str
) -> None:
    """Here `{pid}` is another program. Its command line has the name of the agent, as an editor's may have."""
    agent = make_agent()
    path = agent.home / "daemon" / "pid" / f"{NAME}.pid"
    path.parent.mkdir(parents=True)
    mark = agent.home / "mark"
    command = [sys.executable, "-c", SIGNALLED, str(mark), f"{NAME}: control"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        path.write_text(content.format(pid=other.pid))
        run("sh", "-c", postrotate(logrotate_file(agent)))
        other.stdin.close()
        assert other.wait(20) == 0
    assert not mark.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_logrotate_signals_no_process_of_another_user(make_agent: MakeAgent) -> None:
    """The agent's user wrote a number of root's process to its PID file."""
    agent = make_agent()
    path = agent.home / "daemon" / "pid" / f"{NAME}.pid"
    path.parent.mkdir(parents=True)
    mark = agent.home / "mark"
    with subprocess.Popen(
        [f"{NAME}: control", "-c", SIGNALLED, mark], executable=sys.executable,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as roots:  # fmt: skip
        assert roots.stdin is not None
        assert roots.stdout is not None
        roots.stdout.readline()
        path.write_text(f"{roots.pid}\n")
        os.chown(path, NOBODY, NOBODY)
        run("sh", "-c", postrotate(logrotate_file(agent)))
        assert not mark.exists()
        os.chown(path, 0, 0)
        run("sh", "-c", postrotate(logrotate_file(agent)))
        wait_for(mark.exists, what="the signal")
        roots.stdin.close()


@pytest.mark.parametrize("what", ["a named pipe", "an endless file"])
def test_logrotate_waits_for_no_pid_file(make_agent: MakeAgent, what: str) -> None:
    """It says so, and goes on."""
    agent = make_agent()
    path = agent.home / "daemon" / "pid" / f"{NAME}.pid"
    path.parent.mkdir(parents=True)
    if what == "a named pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    done = subprocess.run(
        ["sh", "-c", postrotate(logrotate_file(agent))],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    waited = what == "a named pipe"
    assert ("could not be told" in done.stderr) == waited


def run(*command: str | Path) -> None:
    """Run a command that must succeed and print nothing."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
