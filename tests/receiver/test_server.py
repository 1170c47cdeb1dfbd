"""The command line of the receiver, run as a process."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK, body, point
from tests.receiver.process import SECONDS, command, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.receiver.process import Receiver


def test_the_first_line_says_where_it_listens(receiver: Receiver) -> None:
    """One line on stdout gives the address of the API, with the port that was taken."""
    assert re.fullmatch(
        r"Listening on http://127\.0\.0\.1:[1-9]\d*/pattoo/api/v1/agent\n", receiver.first_line
    )


def test_it_has_a_name_among_the_processes(receiver: Receiver) -> None:
    """The process is found by its title."""
    title = Path(f"/proc/{receiver.process.pid}/cmdline").read_bytes()
    assert title.rstrip(b"\0") == b"pattoo_mp receiver"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(receiver: Receiver, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end it with status 0, no traceback, and the journal written back."""
    receiver.post(GOLDEN_AGENT, GOLDEN)
    with receiver.connect() as half:
        half.sendall(receiver.head(AGENT, 100) + b"{")
        receiver.process.send_signal(number)
        assert receiver.process.wait(SECONDS) == 0
    assert "Traceback" not in receiver.log
    assert not receiver.database.with_name("db.sqlite-wal").exists()


def test_a_busy_port_is_said_in_one_line(tmp_path: Path) -> None:
    """The line names host and port and says what to do; the status is 1, nothing is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command("--port", port, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1 port {port}" in line
    assert "--port" in line
    assert not any(tmp_path.iterdir())


def test_an_address_of_another_host_is_said_in_one_line(tmp_path: Path) -> None:
    """An address that cannot be listened on is named, without a traceback."""
    done = command("--host", "192.0.2.1", "--port", "0", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "192.0.2.1" in line


def test_an_ipv6_host_works(make_receiver: Callable[..., Receiver]) -> None:
    """It listens on IPv6, and writes the address as URLs have it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6")
    receiver = make_receiver("--host", "::1")
    assert "http://[::1]:" in receiver.first_line
    assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200


def test_show_prints_the_newest_datapoints_in_columns(receiver: Receiver, tmp_path: Path) -> None:
    """A table with aligned columns, newest first, while the receiver runs."""
    points = [point(timestamp=TICK + n, value=n, disk="sda") for n in (1, 200, 30)]
    receiver.post(AGENT, body(*points))
    done = command("--database", str(receiver.database), "--show", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "TIME (UTC)               TARGET  KEY   OF        VALUE",
        "2023-11-14 22:13:20.200  host    load  disk=sda    200",
        "2023-11-14 22:13:20.030  host    load  disk=sda     30",
    ]


def test_show_keeps_what_was_sent_from_the_terminal(receiver: Receiver, tmp_path: Path) -> None:
    """Control characters of a client are printed as escapes."""
    receiver.post(AGENT, body(point(key="\x1b[2Jkey", timestamp=2**62)))
    done = command("--database", str(receiver.database), "--show", "1", cwd=tmp_path)
    assert "\x1b" not in done.stdout
    assert r"\x1b[2Jkey" in done.stdout


def test_show_without_a_database_says_which_is_missing(tmp_path: Path) -> None:
    """The default database is named, and none is made."""
    done = command("--show", "5", cwd=tmp_path)
    assert done.returncode == 1
    assert "pattoo_mp_receiver.sqlite" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_database_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    """A directory that is not there is named, without a traceback."""
    done = command("--port", "0", "--database", "nowhere/db.sqlite", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "nowhere/db.sqlite" in line


@pytest.mark.parametrize("missing", ["flask", "waitress"])
def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path, missing: str) -> None:
    """One line names the package that is missing and the command that installs it."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pattoo_mp.receiver.server import main; sys.exit(main(['--port', '0']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert missing in line
    assert 'pip install "pattoo_mp[receiver]"' in line


@pytest.mark.parametrize(
    "arguments", [("--port", "65536"), ("--port", "x"), ("--show", "0"), ("--max-body-bytes", "-1")]
)
def test_bad_usage_is_status_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A number out of range is named with its option."""
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
