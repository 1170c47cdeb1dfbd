"""The command line of the receiver, run as a process."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.receiver import server
from pattoo_mp.receiver.store import Store
from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, body, point
from tests.receiver.process import SECONDS, command, environment
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.receiver.process import Receiver


def test_the_first_line_says_where_it_listens(receiver: Receiver) -> None:
    """One line on stdout has the URL of the API, with the actual port."""
    assert re.fullmatch(
        r"Listening on http://127\.0\.0\.1:[1-9]\d*/pattoo/api/v1/agent\n", receiver.first_line
    )


def test_the_process_has_a_title(receiver: Receiver) -> None:
    """`ps` shows it."""
    title = Path(f"/proc/{receiver.process.pid}/cmdline").read_bytes()
    assert title.rstrip(b"\0") == b"pattoo_mp receiver"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(receiver: Receiver, number: signal.Signals) -> None:
    """Status 0, no traceback, and the journal written back to the database."""
    receiver.post(GOLDEN_AGENT, GOLDEN)
    with receiver.connect() as half:
        half.sendall(receiver.head(AGENT, 100) + b"{")
        receiver.process.send_signal(number)
        assert receiver.process.wait(SECONDS) == 0
    assert "Traceback" not in receiver.log
    assert not receiver.database.with_name("db.sqlite-wal").exists()


def test_a_busy_port_is_an_error_of_one_line(tmp_path: Path) -> None:
    """The line names host and port and says what to do; the status is 1, no file is created."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command("--port", port, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1 port {port}" in line
    assert "--port" in line
    assert not any(tmp_path.iterdir())


def test_an_address_of_another_host_is_an_error_of_one_line(tmp_path: Path) -> None:
    """The line names the address."""
    done = command("--host", "192.0.2.1", "--port", "0", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "192.0.2.1" in line


def test_an_ipv6_host_works(make_receiver: Callable[..., Receiver]) -> None:
    """It listens on IPv6 and prints the address in brackets, as in URLs."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6")
    receiver = make_receiver("--host", "::1")
    assert "http://[::1]:" in receiver.first_line
    assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200


def test_show_prints_the_newest_datapoints_in_columns(receiver: Receiver, tmp_path: Path) -> None:
    """A table with aligned columns, newest first, while the receiver runs."""
    # What is older than a day may be sealed at any time, and then only the newest value is shown.
    second = int(time.time())
    points = [point(timestamp=1000 * second + n, value=n, disk="sda") for n in (1, 200, 30)]
    receiver.post(AGENT, body(*points))
    done = command("--database", str(receiver.database), "--show", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
    assert done.stdout.splitlines() == [
        "TIME (UTC)               TARGET  KEY   OF        VALUE",
        f"{shown}.200  host    load  disk=sda    200",
        f"{shown}.030  host    load  disk=sda     30",
    ]


def test_show_escapes_control_characters(receiver: Receiver, tmp_path: Path) -> None:
    """A client may have sent some."""
    receiver.post(AGENT, body(point(key="\x1b[2Jkey", timestamp=2**62)))
    done = command("--database", str(receiver.database), "--show", "1", cwd=tmp_path)
    assert "\x1b" not in done.stdout
    assert r"\x1b[2Jkey" in done.stdout


def test_show_names_a_missing_database(tmp_path: Path) -> None:
    """It is the default database, and it is not created."""
    done = command("--show", "5", cwd=tmp_path)
    assert done.returncode == 1
    assert "pattoo_mp_receiver.sqlite" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_database_that_cannot_be_created_is_an_error_of_one_line(tmp_path: Path) -> None:
    """Its directory does not exist; the line has the path."""
    done = command("--port", "0", "--database", "nowhere/db.sqlite", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "nowhere/db.sqlite" in line


@pytest.mark.parametrize("missing", ["flask", "waitress"])
def test_without_the_optional_packages_it_says_how_to_install_them(
    tmp_path: Path, missing: str
) -> None:
    """One line names the missing package and the command that installs it."""
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
    """The error names the option of an invalid number."""
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


def test_a_second_receiver_does_not_write_to_the_same_database(
    receiver: Receiver, tmp_path: Path
) -> None:
    """One line says so; the first goes on."""
    done = command("--port", "0", "--database", str(receiver.database), cwd=tmp_path)
    assert done.returncode == 1
    assert "another receiver has it" in done.stderr
    assert receiver.post(GOLDEN_AGENT, GOLDEN).status == 200


def test_tidying_goes_on_after_an_error_that_nobody_thought_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its thread the store would grow for ever."""
    calls: list[int] = []

    class Odd(Store):
        def tidy(self, now_ms: int, budget_s: float = 0.0) -> None:
            calls.append(now_ms)
            if len(calls) == 1:
                raise IndexError(budget_s)

    monkeypatch.setattr(server, "_TIDY_S", 0.01)
    with Odd(tmp_path / "db.sqlite") as store, server.tidying(store):
        wait_for(lambda: len(calls) > 1)
