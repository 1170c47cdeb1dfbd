"""A receiver process, and clients that talk to it over plain sockets."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pattoo_mp.receiver.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "pattoo_mp.receiver")
JSON = {"Content-Type": "application/json"}
SECONDS = 20
#: Many tests post what would be too old.
KEEP_ALL = ("--raw-days", "36500", "--minute-days", "36500", "--hour-days", "36500")


def environment() -> dict[str, str]:
    """The environment of its commands, with this checkout's package."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Answer:
    """What the receiver answered."""

    status: int
    text: str
    headers: Mapping[str, str]


class Receiver:
    """A receiver that listens on a free port, with its files in `home`."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.database = home / "db.sqlite"
        self._log = home / "receiver.log"
        options = ("--port", "0", "--database", str(self.database), *KEEP_ALL, *arguments)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *options],
                cwd=home,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        assert self.first_line, self.log
        url = urlsplit(self.first_line.removeprefix("Listening on ").strip())
        self.host, self.port, self.path = url.hostname or "", url.port or 0, url.path
        self.host = self.host.replace("0.0.0.0", "127.0.0.1")  # noqa: S104

    @property
    def log(self) -> str:
        """The whole log."""
        return self._log.read_text()

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request below the path for posts, and read the answer."""
        return self.ask_path(method, self.path + path, body, headers)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for any path."""
        return self.ask_path("GET", path, b"", headers)

    def ask_path(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request for any path, and read the answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), dict(answer.getheaders()))
        finally:
            connection.close()

    def post(self, agent_id: str, body: bytes, **headers: str) -> Answer:
        """Send a post as an agent does."""
        return self.ask("POST", f"/receive/{agent_id}", body, {**JSON, **headers})

    def connect(self) -> socket.socket:
        """Open a plain connection."""
        return socket.create_connection((self.host, self.port), timeout=SECONDS)

    def head(self, agent_id: str, length: int) -> bytes:
        """The head of a post of `length` bytes, for plain connections."""
        return (
            f"POST {self.path}/receive/{agent_id} HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    def reader(self) -> Reader:
        """Open the database to read, while the process runs; the caller closes it."""
        return Reader(self.database)

    def end(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.communicate(timeout=SECONDS)
