"""A client of an output of kind pull, and a hub of the simplest kind."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

_TURNS: Final = 30


@dataclass(frozen=True)
class Answered:
    """An answer; its body is decompressed."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The content of the body."""
        return json.loads(self.body)


def ask(
    port: int,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    host: str = "127.0.0.1",
    **headers: str,
) -> Answered:
    """Make one request. Headers are given with _ for -. Raises `OSError` and `HTTPException`."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        found = {name.lower(): text for name, text in answer.getheaders()}
        content = answer.read()
        if found.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        return Answered(answer.status, found, content)
    finally:
        connection.close()


def ask_in_turn(
    port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> Answered:
    """As `ask`; but come again if requests come too fast, when the answer says."""
    for _ in range(_TURNS):
        answer = ask(port, path, method, body, **headers)
        if answer.status != 429:
            return answer
        time.sleep(float(answer.headers["retry-after"]))
    raise AssertionError(f"too many requests to port {port}, all the time")


@dataclass
class Hub:
    """Fetches and acknowledges as docs/pull.md says. It keeps every poll that it has not had, in order."""

    port: int
    name: str = "hub"
    max_bytes: int = 250_000
    layouts: dict[str, Any] = field(default_factory=dict)
    #: By group, the origin with its interval, the time of its last poll.
    newest: dict[tuple[str, int], int] = field(default_factory=dict)
    polls: list[tuple[int, int, str, list[Any]]] = field(default_factory=list)
    repeated: int = 0
    account: dict[str, Any] = field(default_factory=dict)

    @property
    def times(self) -> list[int]:
        """The times of its polls, in order."""
        return [poll[1] for poll in self.polls]

    def fetch(self, **headers: str) -> Answered:
        """Fetch once, and keep what is new."""
        known = ",".join(list(self.layouts)[-16:])
        path = f"/pattoo-mp/1/polls?hub={self.name}&max_bytes={self.max_bytes}&known={known}"
        answer = ask_in_turn(self.port, path, "GET", None, **headers)
        if answer.status == 200:
            found = answer.json
            self.layouts |= found["layouts"]
            self.account = found["account"]
            for number, time_ms, layout, values in found["polls"]:
                self._keep(number, time_ms, layout, values)
        return answer

    def acknowledge(self, up_to: int | None = None, **headers: str) -> Answered:
        """Acknowledge all that it has, or a part of it."""
        number = self.polls[-1][0] if up_to is None else up_to
        body = json.dumps({"hub": self.name, "up_to": number}).encode()
        return ask_in_turn(self.port, "/pattoo-mp/1/polls/acknowledge", "POST", body, **headers)

    def drain(self) -> int:
        """Fetch and acknowledge until nothing more waits; return how many polls are new."""
        before = len(self.polls)
        while True:
            answer = self.fetch()
            if answer.status == 204:
                return len(self.polls) - before
            assert answer.status == 200, answer
            assert self.acknowledge(answer.json["polls"][-1][0]).status == 204
            if not answer.json["more"]:
                return len(self.polls) - before

    def _keep(self, number: int, time_ms: int, layout: str, values: list[Any]) -> None:
        shape = self.layouts[layout]
        group = shape["agent_id"], shape["interval_ms"]
        if time_ms <= self.newest.get(group, 0):
            self.repeated += 1
            return
        self.newest[group] = time_ms
        self.polls.append((number, time_ms, layout, values))
