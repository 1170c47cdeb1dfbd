"""What an output of kind pull answers: from a request to an answer, or to the job of making one.

The server's thread calls `handle`. What is in memory, the pages of the newest poll, is answered at once; what asks
the spool or control becomes a job for the output's own thread.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__
from pattoo_mp.errors import PattooError, WireError
from pattoo_mp.log import local_time
from pattoo_mp.model import now_ms
from pattoo_mp.program import this_program
from pattoo_mp.upload.pull.http import JSON, TEXT, Answer, RefusedError, bad
from pattoo_mp.upload.pull.pages import Newest
from pattoo_mp.upload.pull.places import MAX_PLACES, NoPlaceError, NotHandedOutError
from pattoo_mp.util import json_text
from pattoo_mp.util.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pattoo_mp.config.values import Output
    from pattoo_mp.model import Origin
    from pattoo_mp.upload.pull.access import Access
    from pattoo_mp.upload.pull.http import Request
    from pattoo_mp.upload.pull.pages import Shown
    from pattoo_mp.upload.pull.places import Places
    from pattoo_mp.upload.pull.server import Connection

#: Makes an answer, which may take time.
Job = Callable[[], Answer]

#: How long an answer of `/healthz` counts (s).
_HEALTH_S: Final = 1.0
_ORIGINAL: Final = re.compile(r"/pattoo-agent-os/(\d{1,9})")
_POLLS: Final = "/pattoo-mp/1/polls"
_ACKNOWLEDGE: Final = f"{_POLLS}/acknowledge"
_HEALTH: Final = "/healthz"
_METRICS: Final = "/metrics"
_PATHS: Final = frozenset({"/", _METRICS, _HEALTH, _POLLS, _ACKNOWLEDGE})
_HUB: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LAYOUT: Final = re.compile(r"[0-9a-f]{16,20}")
_MAX_KNOWN: Final = 64
_MAX_BYTES: Final = (10_000, 1_000_000)
_DEFAULT_BYTES: Final = 250_000
_ACK_DEPTH: Final = 1
_METRICS_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_METRICS_OPEN: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_HEALTHY: Final = "healthy"
#: Pages that are kept compressed: those of the hubs' intervals, and both texts for Prometheus.
_COMPRESSED: Final = 6
#: Small answers are not worth compressing.
_COMPRESS_BYTES: Final = 1000


class Answers:
    """The pages. `later` has another thread do a job and give its answer to the connection.

    `ask_troubles` returns the codes of the troubles that `--status` shows now; it may take time, and raises
    `OSError` or `PattooError` if control does not answer. `interval_ms` returns the shortest interval in force.
    """

    def __init__(
        self,
        output: Output,
        origin: Origin,
        places: Places,
        access: Access,
        *,
        interval_ms: Callable[[], int],
        ask_troubles: Callable[[], list[str]],
        later: Callable[[Connection, Job], None],
    ) -> None:
        self._origin = origin
        self._places = places
        self._access = access
        self._interval_ms = interval_ms
        self._ask_troubles = ask_troubles
        self._later = later
        self._started_ms = now_ms()
        self._pages = Lock()
        self._newest = Newest(output, origin.agent_id)
        self._compressed: Recent[bytes, bytes] = Recent(_COMPRESSED)
        self._health: tuple[float, Answer] = (0.0, Answer(HTTPStatus.OK))

    def show(self, polls: Mapping[int, Shown], groups: Collection[int]) -> None:
        """Show other polls, from now on, as `Newest.show`. Callable from any thread."""
        with self._pages:
            self._newest.show(polls, groups)
            self._compressed = Recent(_COMPRESSED)

    def handle(self, request: Request, connection: Connection) -> Answer | None:
        """Return the answer to a request; None if it comes later. Raises `RefusedError`."""
        original = _ORIGINAL.fullmatch(request.path)
        if request.path != _HEALTH:
            self._access.check(connection.address, request.headers, is_original=bool(original))
        if not original and request.path not in _PATHS:
            raise RefusedError(HTTPStatus.NOT_FOUND, "no such page; / lists those that there are")
        _require_method(request, *(("POST",) if request.path == _ACKNOWLEDGE else ("GET", "HEAD")))
        job = self._job(request)
        if job is None:
            try:
                return self._page(request, int(original[1])) if original else self._at_once(request)
            except WireError as error:
                raise unavailable(f"the newest poll cannot be shown: {error}") from None
        self._later(connection, job)
        return None

    def _job(self, request: Request) -> Job | None:
        """Return what makes the answer if that may take time."""
        if request.path == _ACKNOWLEDGE:
            return self._acknowledgement(request)
        if request.path == _POLLS:
            return self._fetch(request)
        return self._ask_health if request.path == _HEALTH and not self._knows_health else None

    def _at_once(self, request: Request) -> Answer:
        if request.path == _METRICS:
            return self._metrics(request)
        if request.path == _HEALTH:
            return self._health[1]
        return Answer(HTTPStatus.OK, self._about(), TEXT)

    def _page(self, request: Request, interval_s: int) -> Answer:
        with self._pages:
            page = self._newest.page(interval_s)
            if page is None:
                raise unavailable("nothing was polled yet")
            return self._whole(request, page, JSON)

    def _metrics(self, request: Request) -> Answer:
        is_open = "application/openmetrics-text" in request.headers.get("accept", "")
        with self._pages:
            text = self._newest.metrics(openmetrics=is_open)
            if text is None:
                raise unavailable("no poll is recent enough to be a figure of now")
            return self._whole(request, text, _METRICS_OPEN if is_open else _METRICS_TEXT)

    def _whole(self, request: Request, body: bytes, content_type: str) -> Answer:
        """Return a page, compressed if the request accepts that. It is compressed once for all requests."""
        if not request.accepts("gzip"):
            return Answer(HTTPStatus.OK, body, content_type, _VARY)
        small = self._compressed.get(body, lambda: compressed(body))
        return Answer(HTTPStatus.OK, small, content_type, _GZIP)

    def _about(self) -> bytes:
        with self._pages:
            newest_ms = self._newest.newest_ms
        polled = local_time(newest_ms / 1000) if newest_ms else "none yet"
        return (
            f"{this_program().name} of pattoo_mp {__version__} on {self._origin.hostname!a}\n"
            f"{this_program().about}\n\n"
            f"Listening since  {local_time(self._started_ms / 1000)}\n"
            f"Last poll        {polled}\n\n"
            "/pattoo-agent-os/<seconds>  the newest poll, for a hub of pattoo\n"
            "/metrics                    the newest poll, for Prometheus\n"
            f"{_POLLS}          all polls, for a hub of pattoo_mp\n"
            "/healthz                    200 if the agent is well, else 503\n"
        ).encode()

    def _fetch(self, request: Request) -> Job:
        given = request.parameters()
        if unknown := given.keys() - {"hub", "max_bytes", "known"}:
            raise bad(f"unknown parameter {min(unknown)!a}; expected hub, max_bytes and known")
        hub = _hub(given.get("hub"))
        text = given.get("max_bytes", str(_DEFAULT_BYTES))
        least, most = _MAX_BYTES
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise bad(f"max_bytes: expected a number from {least} to {most}")
        known = given["known"].split(",") if given.get("known") else []
        if len(known) > _MAX_KNOWN or not all(map(_LAYOUT.fullmatch, known)):
            raise bad(f"known: expected at most {_MAX_KNOWN} identifiers of layouts")
        return partial(self._fetched, hub, int(text), known, gzip=request.accepts("gzip"))

    def _fetched(self, hub: str, max_bytes: int, known: list[str], *, gzip: bool) -> Answer:
        try:
            text = self._places.fetch(hub, max_bytes, known, self._agent())
        except NoPlaceError:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{MAX_PLACES} hubs have places already; one that does not come is given up after spool_max_age",
                {"Retry-After": "60"},
            ) from None
        if text is None:
            return Answer(HTTPStatus.NO_CONTENT)
        if gzip and len(text) >= _COMPRESS_BYTES:
            return Answer(HTTPStatus.OK, compressed(text), JSON, _GZIP)
        return Answer(HTTPStatus.OK, text, JSON, _VARY)

    def _agent(self) -> dict[str, Any]:
        return {
            "id": self._origin.agent_id,
            "hostname": self._origin.hostname,
            "polled_target": self._origin.hostname,
            "program": self._origin.program,
            "interval_ms": self._interval_ms(),
        }

    def _acknowledgement(self, request: Request) -> Job:
        if "content-length" not in request.headers:
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length", closes=True)
        try:
            given = json_text.parse(request.body, depth=_ACK_DEPTH)
        except ValueError as error:
            raise bad(f"the body is not JSON: {error}") from None
        if not isinstance(given, dict) or given.keys() != {"hub", "up_to"}:
            raise bad("expected an object with hub and up_to")
        hub, up_to = _hub(given["hub"]), given["up_to"]
        if not isinstance(up_to, int) or isinstance(up_to, bool):
            raise bad("up_to: expected the number of a poll")
        return partial(self._acknowledged, hub, up_to)

    def _acknowledged(self, hub: str, up_to: int) -> Answer:
        try:
            self._places.acknowledge(hub, up_to)
        except NotHandedOutError:
            raise RefusedError(
                HTTPStatus.CONFLICT,
                "up_to: not a number that was handed out to this hub since the agent has begun to listen; fetch again",
            ) from None
        return Answer(HTTPStatus.NO_CONTENT)

    @property
    def _knows_health(self) -> bool:
        return time.monotonic() < self._health[0]

    def _ask_health(self) -> Answer:
        if self._knows_health:  # asked for another request that waited, which may have taken long
            return self._health[1]
        try:
            codes = self._ask_troubles()
        except (OSError, PattooError):
            codes = ["control_silent"]
        status = HTTPStatus.SERVICE_UNAVAILABLE if codes else HTTPStatus.OK
        answer = Answer(
            status, f"{', '.join(codes) or _HEALTHY}\n".encode("ascii", "replace"), TEXT
        )
        self._health = (time.monotonic() + _HEALTH_S, answer)
        return answer


_VARY: Final = {"Vary": "Accept-Encoding"}
_GZIP: Final = {"Content-Encoding": "gzip", **_VARY}


def compressed(body: bytes) -> bytes:
    """Return a body as gzip. The lowest level already makes a tenth of such text."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def _require_method(request: Request, *methods: str) -> None:
    if request.method not in methods:
        allowed = ", ".join(methods)
        raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, f"expected {allowed}", {"Allow": allowed})


def _hub(given: object) -> str:
    if not isinstance(given, str) or not _HUB.fullmatch(given):
        raise bad("hub: expected 1 to 64 characters of A-Z, a-z, 0-9, . _ and -")
    return given


def unavailable(line: str) -> RefusedError:
    """Return what refuses a request that may be answered a little later."""
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, line, {"Retry-After": "5"})
