"""The queries over HTTP: read-only, below one prefix, described in `openapi.json`.

    GET /api/v1/agents    GET /api/v1/series    GET /api/v1/range
    GET /api/v1/newest    GET /api/v1/health    GET /api/v1/openapi.json

Bad input is answered with 400 or 404 and one line of plain text.
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from threading import Lock
from time import process_time
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, Response, request

from pattoo_mp import __version__
from pattoo_mp.receiver.decode import Refused, shown
from pattoo_mp.receiver.reading import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pattoo_mp.receiver.reading import Reader
    from pattoo_mp.receiver.store import Store

PREFIX: Final = "/api/v1"
BAD: Final = 400
NOT_FOUND: Final = 404

_INTEGER: Final = re.compile(r"-?[0-9]{1,16}")
#: JavaScript's numbers are exact up to here.
_LARGEST: Final = 2**53 - 1
_MOST_SERIES: Final = 64
_MOST_POINTS: Final = 5_000
_WORDS_CHARACTERS: Final = 200
#: Samples a second are those of so many (ms).
_RATE_MS: Final = 10_000


@dataclass(slots=True)
class Counts:
    """What this process has received since its start. Its methods may be called from any thread."""

    started_ms: int
    posts: int = 0
    refused: int = 0
    samples: int = 0
    #: Why the last post could not be stored; empty once one is stored again.
    trouble: str = ""
    _recent: deque[tuple[int, int]] = field(default_factory=deque)
    _lock: Lock = field(default_factory=Lock)

    def stored(self, now_ms: int, samples: int) -> None:
        """Count a post that was stored."""
        with self._lock:
            self.posts += 1
            self.samples += samples
            self.trouble = ""
            self._recent.append((now_ms, samples))
            self._forget(now_ms)

    def rate(self, now_ms: int) -> float:
        """Samples a second, of the last ten seconds."""
        with self._lock:
            self._forget(now_ms)
            return sum(samples for _, samples in self._recent) * 1000 / _RATE_MS

    def _forget(self, now_ms: int) -> None:
        while self._recent and not 0 <= now_ms - self._recent[0][0] < _RATE_MS:
            self._recent.popleft()


class Queries:
    """The queries of a store."""

    def __init__(
        self, reader: Reader, store: Store, counts: Counts, clock_ms: Callable[[], int]
    ) -> None:
        self._reader = reader
        self._store = store
        self._counts = counts
        self._clock_ms = clock_ms
        self._description = files(__package__).joinpath("openapi.json").read_bytes()

    def blueprint(self) -> Blueprint:
        """Return them as a part of the application."""
        queries = Blueprint("queries", __name__, url_prefix=PREFIX)
        for name, answer in (
            ("openapi.json", self._openapi),
            ("agents", self._agents),
            ("series", self._series),
            ("range", self._range),
            ("newest", self._newest),
            ("health", self._health),
        ):
            queries.add_url_rule(f"/{name}", name.partition(".")[0], answer, methods=["GET"])
        return queries

    def _openapi(self) -> Response:
        _only(())
        return Response(self._description, mimetype="application/json")

    def _agents(self) -> Response:
        _only(())
        now_ms = self._clock_ms()
        return _json({"now_ms": now_ms, "agents": self._reader.agents(now_ms)})

    def _series(self) -> Response:
        _only(("words", "agent", "limit", "offset"))
        words = request.args.get("words", "")
        if len(words) > _WORDS_CHARACTERS:
            raise Refused(f"words: {len(words)} characters, expected at most 200", BAD)
        total, found = self._reader.search(
            words,
            _integer("agent", 0, _LARGEST),
            _integer_or("limit", 200, 1, 5_000),
            _integer_or("offset", 0, 0, 1_000_000),
        )
        return _json({"total": total, "series": found})

    def _range(self) -> Response:
        _only(("series", "from", "to", "points"))
        now_ms = self._clock_ms()
        numbers = _numbers()
        if not numbers:
            raise Refused("series: missing, expected ids separated by commas", BAD)
        from_ms = _integer("from", -_LARGEST, _LARGEST)
        if from_ms is None:
            raise Refused("from: missing, expected Unix time in ms, or a negative number", BAD)
        to_ms = _integer_or("to", now_ms, 0, _LARGEST)
        from_ms = from_ms if from_ms >= 0 else max(0, to_ms + from_ms)
        if from_ms >= to_ms:
            raise Refused(f"from: {from_ms}, expected less than {to_ms}, the end of the range", BAD)
        points = _integer_or("points", 500, 2, _MOST_POINTS)
        return _json(_found(lambda: self._reader.range(numbers, from_ms, to_ms, points, now_ms)))

    def _newest(self) -> Response:
        _only(("series", "agent", "since"))
        numbers, agent = _numbers(), _integer("agent", 0, _LARGEST)
        if not numbers and agent is None:
            raise Refused("expected series or agent", BAD)
        since = _integer("since", 0, _LARGEST)
        return _json(_found(lambda: self._reader.newest(numbers, agent, since, self._clock_ms())))

    def _health(self) -> Response:
        _only(())
        counts, store, now_ms = self._counts, self._store, self._clock_ms()
        figures = self._reader.figures()
        for tier, retention_ms in zip(figures["tiers"], store.limits.retention_ms, strict=True):
            tier["retention_ms"] = retention_ms
        state, reason = "well", ""
        if store.dropped:
            limit = store.limits.max_bytes
            state, reason = "full", f"the store is at its limit of {limit} bytes"
        if counts.trouble:
            state, reason = "trouble", counts.trouble
        through_ms = figures.pop("dropped_through_ms")
        return _json(
            {
                "now_ms": now_ms,
                "version": __version__,
                "started_ms": counts.started_ms,
                "state": state,
                "reason": reason,
                "samples": counts.samples,
                "samples_per_second": counts.rate(now_ms),
                "posts": counts.posts,
                "refused_posts": counts.refused,
                "memory_bytes": _memory_bytes(),
                "processor_seconds": process_time(),
                "max_bytes": store.limits.max_bytes,
                **figures,
                "dropped": {"blocks": store.dropped, "through_ms": through_ms},
                "put_aside": None if store.put_aside is None else str(store.put_aside),
            }
        )


def _memory_bytes() -> int:
    try:
        rows = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return 1024 * int(rows.partition("VmRSS:")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return 0


def _only(names: Collection[str]) -> None:
    """Raise `Refused` for a parameter that is not among `names`, or is given twice."""
    for name, values in request.args.lists():
        if name not in names:
            raise Refused(f"{shown(name)}: no such parameter, expected {_words(names)}", BAD)
        if len(values) > 1:
            raise Refused(f"{name}: given more than once, expected once", BAD)


def _words(names: Collection[str]) -> str:
    return f"only {', '.join(names)}" if names else "none"


def _integer(name: str, least: int, most: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
        raise Refused(f"{name}: {shown(text)}, expected an integer from {least} to {most}", BAD)
    return int(text)


def _integer_or(name: str, default: int, least: int, most: int) -> int:
    number = _integer(name, least, most)
    return default if number is None else number


def _numbers() -> list[int]:
    """The ids in `series`, each once."""
    text = request.args.get("series")
    if text is None:
        return []
    parts = text.split(",", _MOST_SERIES)
    if len(parts) > _MOST_SERIES or not all(re.fullmatch(r"[0-9]{1,15}", part) for part in parts):
        raise Refused(
            f"series: {shown(text)}, expected at most {_MOST_SERIES} ids separated by commas", BAD
        )
    return list(dict.fromkeys(map(int, parts)))


def _found(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return ask()
    except NotFound as error:
        raise Refused(str(error), NOT_FOUND) from None


def _json(content: dict[str, Any]) -> Response:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    answer = Response(text.encode("utf-8", "replace"), mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer
