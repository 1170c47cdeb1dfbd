"""An output of kind pull: its thread, which asks the spool, and its server, which has a thread of its own.

The server's thread answers from memory what it can: the pages of the newest poll. What hubs fetch comes from
the spool, and `/healthz` from control, which may take time; this output's own thread asks them, one after
another. So neither a slow disk nor a slow client keeps another client from a page.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import time
import zlib
from collections import deque
from functools import partial
from http import HTTPStatus
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__
from pattoo_mp.config.secrets import server_context
from pattoo_mp.errors import PattooError, WireError
from pattoo_mp.ipc.messages import UploadState
from pattoo_mp.log import local_time
from pattoo_mp.model import now_ms
from pattoo_mp.program import this_program
from pattoo_mp.spool.store import StorageError
from pattoo_mp.upload.pull.access import Access
from pattoo_mp.upload.pull.http import JSON, TEXT, Answer, RefusedError, bad
from pattoo_mp.upload.pull.pages import Newest, Shown
from pattoo_mp.upload.pull.places import MAX_PLACES, NoPlaceError, NotHandedOutError, Places
from pattoo_mp.upload.pull.server import Server
from pattoo_mp.upload.spooled import Outbox
from pattoo_mp.util import json_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.config.values import Config, Output
    from pattoo_mp.model import Origin
    from pattoo_mp.spool.store import Spool
    from pattoo_mp.upload.pull.http import Request
    from pattoo_mp.upload.pull.server import Connection

    Job = Callable[[], Answer]

_LOG = logging.getLogger(__name__)

#: Polls that are read to find the newest of each interval group, at most.
_NEWEST: Final = 20
#: How long to wait before the next attempt to listen (s).
_LISTEN_AGAIN_S: Final = 5.0
#: How often hubs that do not come are looked for (s).
_GIVE_UP_EVERY_S: Final = 60.0
#: How long an answer of `/healthz` counts (s).
_HEALTH_S: Final = 1.0
_JOBS: Final = 64
_FOREVER: Final = float("inf")

_ORIGINAL: Final = re.compile(r"/pattoo-agent-os/(\d{1,9})")
_POLLS: Final = "/pattoo-mp/1/polls"
_ACKNOWLEDGE: Final = f"{_POLLS}/acknowledge"
_HUB: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LAYOUT: Final = re.compile(r"[0-9a-f]{16,20}")
_MAX_KNOWN: Final = 64
_MAX_BYTES: Final = (10_000, 1_000_000)
_DEFAULT_BYTES: Final = 250_000
_ACK_DEPTH: Final = 1
_METRICS_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_METRICS_OPEN: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_HEALTHY: Final = "healthy"
#: Small answers are not worth compressing.
_COMPRESS_BYTES: Final = 1000


class PullOutput:
    """Runs until `stop`. `report` gets the state of an account by its name, `report_trouble` what is wrong here.

    `ask_troubles` returns the codes of the troubles that `--status` shows now; it may take time, and raises
    `OSError` or `PattooError` if control does not answer.
    """

    def __init__(
        self,
        output: Output,
        spool: Spool,
        config: Config,
        origin: Origin,
        *,
        report: Callable[[str, UploadState], None],
        report_trouble: Callable[[str], object],
        ask_troubles: Callable[[], list[str]],
    ) -> None:
        self._output = output
        self._spool = spool
        self._origin = origin
        self.config = config
        self._report = report
        self._report_trouble = report_trouble
        self._ask_troubles = ask_troubles
        self._outbox = Outbox(spool, output.name)
        self._places = Places(spool, output.name, report)
        self._access = Access(output)
        self._server: Server | None = None
        self._serving: Thread | None = None
        self._changed = Condition()
        self._jobs: deque[tuple[Connection, Job]] = deque()
        self._has_polls = True
        self._stopping = False
        self._listen_at = self._give_up_at = 0.0
        self._trouble = ""
        self._started_ms = now_ms()
        self._pages = Lock()
        self._newest = Newest(output, origin.agent_id)
        self._compressed: dict[bytes, bytes] = {}
        self._health: tuple[float, Answer] = (0.0, Answer(HTTPStatus.OK))
        #: The loop is rightly idle until then (`time.monotonic`). Later it is working, or stuck.
        self.idle_until = _FOREVER

    def run(self) -> None:
        """Listen, and answer what takes time, until `stop` is called."""
        while True:
            with self._changed:
                while not (self._stopping or self._jobs or self._has_polls or self._is_due()):
                    wait_s = max(0.0, min(self._listen_at, self._give_up_at) - time.monotonic())
                    self.idle_until = time.monotonic() + wait_s
                    self._changed.wait(wait_s)
                if self._stopping:
                    break
                jobs = list(self._jobs)
                self._jobs.clear()
                has_polls, self._has_polls = self._has_polls, False
            self.idle_until = time.monotonic()
            self._work(jobs, has_polls=has_polls)
        if self._server is not None:
            self._server.stop()
        if self._serving is not None:
            self._serving.join()

    def wake(self) -> None:
        """Announce new polls in the spool."""
        with self._changed:
            self._has_polls = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End. What was not acknowledged stays in the spool."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def report(self) -> None:
        """Report the state."""
        server = self._server
        self._report(
            self._output.name,
            UploadState(
                posts=server.requests if server else 0,
                sent_bytes=server.sent_bytes if server else 0,
                last_post_ms=server.last_ms if server else 0,
                server=self._output.urls[0],
            ),
        )
        self._places.report_all()

    # --- this output's thread

    def _is_due(self) -> bool:
        return time.monotonic() >= min(self._listen_at, self._give_up_at)

    def _work(self, jobs: list[tuple[Connection, Job]], *, has_polls: bool) -> None:
        try:
            self._ensure_listening()
            if has_polls and self._server is not None:
                self._show_newest()
            if time.monotonic() >= self._give_up_at:
                self._give_up_at = time.monotonic() + _GIVE_UP_EVERY_S
                self._places.give_up(self.config.spool_max_age)
            trouble = self._access.trouble
        except (*StorageError, PattooError) as error:
            trouble = f"the spool: {error}"
        except Exception as error:  # noqa: BLE001 - outermost loop of the thread: report and retry
            _LOG.exception("Polls could not be shown.")
            trouble = f"{type(error).__name__}: {error}"
        for connection, job in jobs:
            if self._server is not None:
                self._server.complete(connection, self._done(job))
        if self._server is not None:
            self._set_trouble(trouble)
        self.report()

    def _done(self, job: Job) -> Answer:
        try:
            return job()
        except RefusedError as refused:
            return refused.answer
        except (*StorageError, WireError) as error:
            _LOG.warning("The spool cannot be read or written for a hub: %s.", error)
        except Exception:  # noqa: BLE001 - the client gets an answer, whatever it was
            _LOG.exception("A request could not be answered.")
        return _unavailable("the spool cannot be read or written now").answer

    def _ensure_listening(self) -> None:
        if self._serving is not None and not self._serving.is_alive():
            self._server = self._serving = None  # it has logged why
            self._listen_at = time.monotonic() + _LISTEN_AGAIN_S
        if self._server is not None or time.monotonic() < self._listen_at:
            return
        try:
            listening = listen(self._output.listen)
            trust = self._output.trust
            tls = server_context(trust) if trust.certificate_file else None
        except (OSError, PattooError) as error:
            self._listen_at = time.monotonic() + _LISTEN_AGAIN_S
            # `socket` adds the address, which the line has already.
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            self._set_trouble(f"cannot listen at {self._output.listen}: {why}")
            return
        self._server = Server(listening, self._handle, self._access.admits, tls)
        self._serving = Thread(target=self._serve, name=f"{self._output.name} server", daemon=True)
        self._serving.start()
        self._listen_at = _FOREVER
        self._has_polls = True
        self._set_trouble("")
        limited = ", for others than this host only with the page of an original spoke"
        _LOG.info(
            "Listening at %s%s.", self._output.urls[0], limited if self._output.is_exposed else ""
        )

    def _serve(self) -> None:
        try:
            if self._server is not None:
                self._server.run()
        except Exception:  # noqa: BLE001 - outermost loop of the thread: report and start again
            _LOG.exception("The server of %s has ended; it is started again.", self._output.name)
            with self._changed:
                self._listen_at = 0.0
                self._changed.notify_all()

    def _show_newest(self) -> None:
        """Show the newest poll of each interval group, and be done with all up to it."""
        newest = self._spool.newest(self._output.name, _NEWEST)
        if not newest:
            return
        found = {}
        for spooled in newest:
            try:
                layout = self._spool.layout(spooled.poll.layout_id)
            except WireError:
                continue  # the next poll brings it
            found[layout.interval_ms] = Shown(layout, spooled.poll)
        with self._pages:
            self._newest.show(found)
            self._compressed.clear()
        self._outbox.sent(newest[-1].id, self._outbox.waiting)

    def _set_trouble(self, trouble: str) -> None:
        if trouble == self._trouble:
            return
        if trouble:
            _LOG.error("The output %s has trouble: %s. Retrying.", self._output.name, trouble)
        else:
            _LOG.info("The output %s has no more trouble.", self._output.name)
        self._trouble = trouble
        self._report_trouble(trouble)

    # --- the server's thread

    def _handle(self, request: Request, connection: Connection) -> Answer | None:
        original = _ORIGINAL.fullmatch(request.path)
        if request.path != "/healthz":
            self._access.check(connection.address, request.headers, is_original=bool(original))
        if request.path == _ACKNOWLEDGE:
            _require_method(request, "POST")
            return self._later(connection, self._acknowledgement(request))
        _require_method(request, "GET", "HEAD")
        if request.path == _POLLS:
            return self._later(connection, self._fetch(request))
        if original:
            return self._page(request, int(original[1]))
        if request.path == "/metrics":
            return self._metrics(request)
        if request.path == "/healthz":
            until, answer = self._health
            return answer if time.monotonic() < until else self._later(connection, self._ask_health)
        if request.path == "/":
            return Answer(HTTPStatus.OK, self._about(), TEXT)
        raise RefusedError(HTTPStatus.NOT_FOUND, "no such page; / lists those that there are")

    def _later(self, connection: Connection, job: Job) -> Answer | None:
        """Have this output's thread answer: there is no answer yet."""
        with self._changed:
            if len(self._jobs) >= _JOBS:
                raise _unavailable("too many requests wait for the spool")
            self._jobs.append((connection, job))
            self._changed.notify_all()
        return None

    def _page(self, request: Request, interval_s: int) -> Answer:
        with self._pages:
            page = self._newest.page(interval_s)
            if page is None:
                raise _unavailable("nothing was polled yet")
            return self._whole(request, page, JSON)

    def _metrics(self, request: Request) -> Answer:
        is_open = "application/openmetrics-text" in request.headers.get("accept", "")
        with self._pages:
            text = self._newest.metrics(openmetrics=is_open)
            if text is None:
                raise _unavailable("no poll is recent enough to be a figure of now")
            return self._whole(request, text, _METRICS_OPEN if is_open else _METRICS_TEXT)

    def _whole(self, request: Request, body: bytes, content_type: str) -> Answer:
        """Return a page, compressed if the request accepts that. It is compressed once for all requests."""
        if not request.accepts("gzip"):
            return Answer(HTTPStatus.OK, body, content_type, _VARY)
        small = self._compressed.get(body)
        if small is None:
            small = self._compressed[body] = compressed(body)
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
            "interval_ms": min(self.config.groups),
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

    def _ask_health(self) -> Answer:
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


def listen(where: str) -> socket.socket:
    """Return a socket that listens at `host:port`. Raises `OSError`."""
    host, _, port = where.rpartition(":")
    family, _, _, _, address = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(
        address[:2], family=family, backlog=128, dualstack_ipv6=address[0] == "::"
    )


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


def _unavailable(line: str) -> RefusedError:
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, line, {"Retry-After": "5"})
