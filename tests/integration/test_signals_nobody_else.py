"""Whatever holds the lock of the PID file: only the agent's control process is ever signalled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import NAME, ROOT, SHIM
from tests.support.apart import UNSHARE, run_apart
from tests.support.locked import lock_held
from tests.support.unprivileged import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]

COMMANDS = (
    ("--stop",), ("--stop", "--force"), ("--restart",), ("--restart", "--force"), ("--reload",),
    ("--status",),
)  # fmt: skip

#: The first process of a PID namespace. It starts the program that argv[1] holds with the PID file
#: argv[2] as argument. When that has the lock, this program runs the commands of the agent, and counts
#: the signals that it gets itself: a signal to its group, or to all processes, would reach it.
BYSTANDER = """
import json, os, signal, subprocess, sys
holder, path, shim, commands = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
got = []
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT, signal.SIGUSR1):
    signal.signal(number, lambda number, _: got.append(signal.Signals(number).name))
process = subprocess.Popen(
    json.loads(holder) + [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    text=True,
)
assert process.stdout.readline() == "locked\\n"
done = []
for words in commands:
    ran = subprocess.run([sys.executable, shim, *words], capture_output=True, text=True, timeout=60)
    done.append([ran.returncode, ran.stdout, ran.stderr])
print(json.dumps({"done": done, "got": got, "holder": process.poll()}))
process.kill()
"""
#: Locks the open file description: F_GETLK answers -1 as the process.
OPEN_FILE_DESCRIPTION = """
import fcntl, os, struct, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
F_OFD_SETLK = 37
fcntl.fcntl(descriptor, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print("locked", flush=True)
sys.stdin.read()
"""
#: Locks as an agent does.
AS_AN_AGENT = """
import sys
from pathlib import Path
from pattoo_mp.control.run_directory import PidLock
lock = PidLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""
#: The bystander itself in a namespace of its own, beside that of the holder.
BESIDE = """
import json, subprocess, sys
unshare, bystander, holder, path, shim, commands = json.loads(sys.argv[1]), *sys.argv[2:]
lock = subprocess.Popen(
    [*unshare, *json.loads(holder), path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
assert lock.stdout.readline() == "locked\\n"
say = "print('locked', flush=True); import sys; sys.stdin.read()"
subprocess.run(
    [*unshare, sys.executable, "-c", bystander, json.dumps([sys.executable, "-c", say]), path, shim, commands],
    check=True, timeout=100,
)
lock.kill()
"""


def pid_file_of(agent: Agent) -> Path:
    """Its path; the directory is made."""
    path = agent.home / "daemon" / "pid" / f"{NAME}.pid"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def refused(found: subprocess.CompletedProcess[str]) -> None:
    """Check that no command signalled anything, and that each said why in one line."""
    assert found.returncode == 0, found.stdout + found.stderr
    answer = json.loads(found.stdout)
    assert answer["got"] == []
    assert answer["holder"] is None
    *signalling, (status, shown, complaint) = answer["done"]
    for code, _, error in signalling:
        (line,) = error.splitlines()
        assert code == 1
        assert "a process that the kernel does not name here has locked it; nothing was" in line
    assert status == 1, complaint
    assert "kill" not in shown
    assert "process 0" not in shown + complaint


def test_a_lock_of_an_open_file_description_has_no_process_to_signal(
    make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root a signal to the process -1 would reach all processes of the host."""
    agent = make_agent()
    path = pid_file_of(agent)
    monkeypatch.setenv("PATTOO_CONFIGDIR", str(agent.configuration))
    holder = json.dumps([sys.executable, "-c", OPEN_FILE_DESCRIPTION])
    refused(run_apart(BYSTANDER, holder, path, SHIM, json.dumps(COMMANDS)))


def test_an_agent_in_a_container_beside_is_not_signalled_by_its_number(
    make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have one volume. A signal to the process 0 would reach the caller's own group."""
    agent = make_agent()
    path = pid_file_of(agent)
    monkeypatch.setenv("PATTOO_CONFIGDIR", str(agent.configuration))
    holder = json.dumps([sys.executable, "-c", AS_AN_AGENT])
    # Inside the first namespace we are root, so no further user namespace is needed.
    unshare = json.dumps([word for word in UNSHARE if word not in {"--user", "--map-root-user"}])
    refused(run_apart(BESIDE, unshare, BYSTANDER, holder, path, SHIM, json.dumps(COMMANDS)))


@pytest.mark.parametrize("words", [("--stop",), ("--stop", "--force"), ("--reload",)])
def test_a_stranger_that_holds_the_lock_is_not_signalled(
    make_agent: MakeAgent, words: tuple[str, ...]
) -> None:
    """Its command is not that of a control process. The line shows it."""
    agent = make_agent()
    path = pid_file_of(agent)
    with lock_held(path) as stranger:
        done = agent.run(*words)
        assert Path(f"/proc/{stranger}/stat").exists()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"process {stranger} has locked {path}, but its command is '{sys.executable} -c" in line
    assert line.endswith("; nothing was signalled; expected the agent's control process")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as another user")
def test_the_control_process_of_another_user_is_not_signalled(make_agent: MakeAgent) -> None:
    """It has locked a PID file that is not its own: of one that root's agent left, for example."""
    agent = make_agent()
    path = pid_file_of(agent)
    for above in (agent.home, agent.home / "daemon", path.parent):
        above.chmod(0o755)
    descriptor = os.open(path, os.O_RDWR)
    hold = (
        "import fcntl, os, sys; fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX); "
        f"os.setuid({NOBODY}); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [f"{NAME}: control", "-c", hold, str(descriptor)], executable=sys.executable,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[descriptor], cwd=ROOT,
    ) as holder:  # fmt: skip
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            done = agent.run("--stop", "--force")
            assert holder.poll() is None
        finally:
            holder.kill()
            os.close(descriptor)
    (line,) = done.stderr.splitlines()
    assert "but it runs as nobody, and the file belongs to root; nothing was signalled" in line
