"""The first run: a receiver and the agent under supervisord, with all files below `.run` in the checkout.

It uses the supervisord configuration that the project ships, with the receiver added.
"""

from __future__ import annotations

import argparse
import errno
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent
from pattoo_mp.operate.lifecycle import stop as stop_agent
from pattoo_mp.receiver.database import StoreError
from pattoo_mp.receiver.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".run"
CONFIGURATION = HOME / "etc"
DATABASE = HOME / "receiver.sqlite"
SHIPPED = ROOT / "conf" / "supervisord.conf"
TITLE = b"pattoo_mp receiver"
PROGRAM_SECTION = "pattoo_agent_os_autonomousd.conf"
SUPERVISOR = CONFIGURATION / "supervisord.conf"
#: Lower ones are root's, and 8080 and the like are often in use.
LEAST_PORT = 20201
LAST_PORT = 65535
BIN = Path(sys.executable).parent
POLLING_INTERVAL_S = 1
TIME_LIMIT_S = 60
SHOWN = 8


def main() -> int:
    """Start or stop. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("start", "stop"))
    parser.add_argument("--port", default="20201", help="the receiver's port")
    arguments = parser.parse_args()
    if arguments.verb == "stop":
        return stop()
    if not arguments.port.isdecimal() or not 1 <= int(arguments.port) <= LAST_PORT:
        return fail(f"PORT={arguments.port}; expected a whole number from 1 to {LAST_PORT}")
    return start(int(arguments.port))


def start(port: int) -> int:
    """Start everything and show the first datapoints."""
    if is_up():
        return fail("it is running already; use 'make stop' to stop it")
    leftovers = running_without_supervisord()
    if leftovers:
        return fail(f"{leftovers} still, without supervisord; use 'make stop' to stop")
    problem = port_problem(port)
    if problem:
        another = free_port_after(port)
        return fail(f"port {port} of 127.0.0.1 {problem}; choose another: make run PORT={another}")
    configure(port)
    before = count_datapoints()
    subprocess.run([BIN / "supervisord", "-c", SUPERVISOR], check=True, env=environment())
    if not wait_for(lambda: count_datapoints() > before):
        stop()
        return fail(
            f"no datapoint arrived within {TIME_LIMIT_S} s; see {HOME}/log and {CONFIGURATION}"
        )
    show(port)
    return 0


def stop() -> int:
    """Stop everything, even without a supervisord."""
    was_up = is_up()
    if was_up:
        # supervisord stops answering before it ends.
        process = os.pidfd_open(int(supervisorctl("pid").stdout))
        supervisorctl("shutdown")
        if not has_ended(process):
            return fail("supervisord did not end in time")
    elif not running_without_supervisord():
        print("It is not running.")
        return 0
    try:
        stop_agent(Agent(HOME / "daemon"), force=False)
    except PattooError as error:
        return fail(str(error))
    for pid in receivers():
        process = os.pidfd_open(pid)
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not has_ended(process):
            return fail(f"the receiver (process {pid}) did not end in time")
    print(f"Stopped. Its files are in {HOME}; 'make clean' removes them.")
    return 0


def has_ended(process: int) -> bool:
    """Wait for the end of a process, given by its descriptor. Return whether it ended in time."""
    ended, _, _ = select.select([process], [], [], TIME_LIMIT_S)
    os.close(process)
    return bool(ended)


def running_without_supervisord() -> str:
    """Return what still runs although supervisord does not, for example after a kill; empty if nothing."""
    agent = Agent(HOME / "daemon").pid
    running = [f"the agent (process {agent})"] if agent is not None else []
    running += [f"the receiver (process {pid})" for pid in receivers()]
    return f"{' and '.join(running)} {'run' if len(running) > 1 else 'runs'}" if running else ""


def receivers() -> list[int]:
    """Return the receivers that have our database open: one, or a second one that has no port yet."""
    processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [int(process.name) for process in processes if receives_here(process)]


def receives_here(process: Path) -> bool:
    """Return whether a process in /proc is a receiver, by its title, with our database open."""
    with suppress(OSError):  # the process is gone, or another user's
        if (process / "cmdline").read_bytes().startswith(TITLE):
            return any(leads_to(file, DATABASE) for file in (process / "fd").iterdir())
    return False


def leads_to(link: Path, path: Path) -> bool:
    """Return whether a link leads to `path`; false if it is gone, as a connection closed meanwhile."""
    with suppress(OSError):
        return link.readlink() == path
    return False


def configure(port: int) -> None:
    """Write the configuration of the agent, and of the receiver as one more program of supervisord."""
    CONFIGURATION.mkdir(mode=0o700, parents=True, exist_ok=True)
    (CONFIGURATION / "pattoo.yaml").write_text(
        "pattoo:\n"
        f"  log_directory: {HOME}/log\n"
        f"  cache_directory: {HOME}/cache\n"
        f"  daemon_directory: {HOME}/daemon\n"
        "pattoo_agent_api:\n"
        "  ip_address: 127.0.0.1\n"
        f"  ip_bind_port: {port}\n"
    )
    (CONFIGURATION / "pattoo_agent_os_autonomousd.yaml").write_text(
        f"pattoo_agent_os_autonomousd:\n  polling_interval: {POLLING_INTERVAL_S}\n"
        "  families: [pressure]\n"
    )
    shipped = SHIPPED.read_text()
    # supervisord includes files relative to its own.
    program = os.path.relpath(SHIPPED.parent / PROGRAM_SECTION, CONFIGURATION)
    SUPERVISOR.write_text(
        shipped.replace(f"files={PROGRAM_SECTION}", f"files={program}") + f"\n[program:receiver]\n"
        f'command="{BIN}/pattoo_mp_receiver" --port {port} --database "{DATABASE}"\n'
        "redirect_stderr=true\n"
    )


def show(port: int) -> None:
    """Say where the page is; show a few datapoints, and the commands that show more."""
    print(f"See this host at http://127.0.0.1:{port}/\n\nThe newest figures:\n")
    sys.stdout.flush()
    receiver = BIN / "pattoo_mp_receiver"
    subprocess.run([receiver, "--database", DATABASE, "--show", str(SHOWN)], check=True)
    environ = f"PATTOO_CONFIGDIR={quote(str(CONFIGURATION))}"
    bin_, database, supervisor = (quote(str(path)) for path in (BIN, DATABASE, SUPERVISOR))
    print(
        f"\npage      http://127.0.0.1:{port}/"
        f"\nstatus    {environ} bin/pattoo_agent_os_autonomousd.py --status"
        f"\nlog       {HOME}/log/pattoo.log"
        f"\nreceived  {bin_}/pattoo_mp_receiver --database {database} --show 100"
        f"\nprocesses {environ} {bin_}/supervisorctl -c {supervisor} status"
        f"\nstop      make stop"
    )


def is_up() -> bool:
    """Return whether supervisord answers."""
    return SUPERVISOR.exists() and supervisorctl("pid").returncode == 0


def supervisorctl(*words: str) -> subprocess.CompletedProcess[bytes]:
    """Run supervisorctl for our supervisord."""
    command: list[str | Path] = [BIN / "supervisorctl", "-c", SUPERVISOR, *words]
    return subprocess.run(command, capture_output=True, check=False, env=environment())


def environment() -> dict[str, str]:
    """Return our environment, with the first run's configuration."""
    return {**os.environ, "PATTOO_CONFIGDIR": str(CONFIGURATION)}


def count_datapoints() -> int:
    """Return how many datapoints the receiver has stored."""
    try:
        with Reader(DATABASE) as reader:
            return reader.totals().stored
    except (StoreError, sqlite3.Error):
        return 0


def port_problem(port: int) -> str:
    """Return why no server can listen on the port; empty if one can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return (
                "is in use"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used ({error.strerror})"
            )
    return ""


def free_port_after(port: int) -> int:
    """Return a port that every user may listen on, and that is free now."""
    wanted = max(port + 1, LEAST_PORT)
    for candidate in chain(range(wanted, LAST_PORT + 1), range(LEAST_PORT, wanted)):
        if not port_problem(candidate):
            return candidate
    return wanted


def wait_for(condition: Callable[[], bool]) -> bool:
    """Wait until the condition holds. Return whether it did in time."""
    until = time.monotonic() + TIME_LIMIT_S
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def fail(reason: str) -> int:
    """Print the reason. Return the exit status of a failure."""
    print(f"first run: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
