"""The real receiver behind a server that misbehaves. It is killed again and again, and must have every value once."""

from __future__ import annotations

import http.client
import threading
from array import array
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from pattoo_mp.receiver.columns import decode, decode_integers
from pattoo_mp.receiver.database import RAW
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.sealing import Parts
from tests.receiver.process import Receiver
from tests.support.ports import free_port
from tests.support.server import PREFIX, TEXT, Post
from tests.torture.server import OK, FaultyHandler, FaultyServer

if TYPE_CHECKING:
    from tests.torture.verdict import Verdict

_AWAY: Final = b"HTTP/1.1 503 So it is\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#: Time between two kills (s), at least and at most.
_KILLS_S: Final = (1.0, 6.0)
#: A value: its target, its series' checksum, its time.
_Name = tuple[str, str, int]


class StoreHandler(FaultyHandler):
    """Answers one request, with the answer of the receiver or by the mode."""

    owner: FaultyStore

    def take(self) -> None:
        """Give the post to the receiver, and record it if that answered that it is stored."""
        if not self.is_post:
            return
        if self.owner.forward(self.path, self.body):
            self.taken_answer = OK
            self.owner.answered(Post(self.path.removeprefix(PREFIX + "receive/"), self.body))
            super().take()
        else:
            self.taken_answer = _AWAY


class FaultyStore(FaultyServer):
    """Gives what it takes to a receiver, which a thread kills and starts again until `close`."""

    handler = StoreHandler

    def __init__(self, seed: int) -> None:
        self._home = TemporaryDirectory(prefix="pmp-torture-receiver-")
        self._port = free_port()
        self._receiver = self._start()
        self.kills = 0
        #: What was answered to be stored.
        self._values: dict[_Name, float] = {}
        self._lock = threading.Lock()
        self._kept: Counter[_Name] = Counter()
        self._wrong: list[_Name] = []
        self._times: set[int] = set()
        self._is_over = threading.Event()
        self._killer = threading.Thread(target=self._kill, args=(Random(seed),), daemon=True)
        self._killer.start()
        super().__init__()

    def _start(self) -> Receiver:
        return Receiver(Path(self._home.name), "--port", str(self._port))

    def _kill(self, draw: Random) -> None:
        while not self._is_over.wait(draw.uniform(*_KILLS_S)):
            self._receiver.end()
            self.kills += 1
            self._receiver = self._start()

    def forward(self, path: str, body: bytes) -> bool:
        """Send a post to the receiver. Return whether it answered that it is stored."""
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with suppress(OSError, http.client.HTTPException):
            try:
                client.request("POST", path, body, {"Content-Type": "application/json"})
                return client.getresponse().read() == b"OK"
            finally:
                client.close()
        return False

    def answered(self, post: Post) -> None:
        """Remember the values of a post that is stored. What came first stays."""
        with self._lock:
            for point in post.datapoints():
                if point["pattoo_data_type"] != TEXT:
                    name = (
                        str(point["pattoo_agent_polled_target"]),
                        str(point["pattoo_checksum"]),
                        int(point["pattoo_timestamp"]),
                    )
                    self._values.setdefault(name, float(point["pattoo_value"]))

    def stored(self) -> set[int]:
        """Return the timestamps of the polls that the receiver has."""
        if self._is_over.is_set():
            return self._times
        with Reader(self._receiver.database) as reader:
            return {at for (agent,) in _agents(reader) for at in reader.timestamps(agent)}

    def close(self) -> None:
        """Stop, and read all that the receiver has."""
        super().close()
        self._is_over.set()
        self._killer.join(60)
        self._receiver.end()
        with Reader(self._receiver.database) as reader:
            self._read(reader)
        self._home.cleanup()

    def _read(self, reader: Reader) -> None:
        names = {
            number: (target, checksum)
            for number, target, checksum in reader._rows("SELECT id, target, checksum FROM series")
        }
        for layout, time_ms, row in reader._rows("SELECT layout, time_ms, numbers FROM polls"):
            for series, value in zip(reader._layouts.series(layout), array("d", row), strict=True):
                self._count((*names[series], time_ms), value)
        for layout, rows, packed, columns in reader._rows(
            "SELECT layout, rows, times, columns FROM blocks WHERE tier = ?", RAW
        ):
            numbers, times = reader._layouts.series(layout), decode_integers(packed, rows)
            parts = Parts(columns, len(numbers))
            for place, number in enumerate(numbers):
                for time_ms, value in zip(times, decode(parts[place], rows), strict=True):
                    self._count((*names[number], time_ms), value)

    def _count(self, name: _Name, value: float) -> None:
        self._kept[name] += 1
        self._times.add(name[2])
        if self._values.get(name, value) != value:
            self._wrong.append(name)

    def judge(self, verdict: Verdict) -> None:
        """Add whether each value that was answered is there, once and unchanged."""
        lost = [name for name in self._values if not self._kept[name]]
        twice = [name for name, times in self._kept.items() if times > 1]
        verdict.row("the receiver was killed", f"{self.kills} times")
        verdict.row(
            "values that it answered, and has",
            f"{len(self._values)}, and {len(self._kept)}: {len(lost)} lost, {len(twice)} twice,"
            f" {len(self._wrong)} changed",
        )
        verdict.must(bool(self.kills), "the receiver was never killed")
        verdict.must(not lost, f"answered, but not there: {lost[:3]}")
        verdict.must(not twice, f"there twice: {twice[:3]}")
        verdict.must(not self._wrong, f"there with another value: {self._wrong[:3]}")


def _agents(reader: Reader) -> list[tuple[str]]:
    found: list[tuple[str]] = reader._rows("SELECT agent_id FROM agents")
    return found
