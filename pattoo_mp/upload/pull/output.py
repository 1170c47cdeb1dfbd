"""An output of kind pull: its thread, which asks the spool, and its server, which has a thread of its own.

The server's thread answers from memory what it can: the pages of the newest poll. What hubs fetch comes from
the spool, and `/healthz` from control, which may take time; this output's own thread asks them, one after
another. So neither a slow disk nor a slow client keeps another client from a page.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.secrets import server_context
from pattoo_mp.errors import PattooError, WireError
from pattoo_mp.ipc.messages import UploadState
from pattoo_mp.spool.store import StorageError
from pattoo_mp.upload.pull.access import Access
from pattoo_mp.upload.pull.answers import Answers, unavailable
from pattoo_mp.upload.pull.http import Answer, RefusedError
from pattoo_mp.upload.pull.pages import Shown
from pattoo_mp.upload.pull.places import Places
from pattoo_mp.upload.pull.server import Server
from pattoo_mp.upload.spooled import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.config.values import Config, Output
    from pattoo_mp.model import Origin
    from pattoo_mp.spool.store import Spool
    from pattoo_mp.upload.pull.answers import Job
    from pattoo_mp.upload.pull.server import Connection

_LOG = logging.getLogger(__name__)

#: Polls that are read to find the newest of each interval group, at most.
_NEWEST: Final = 20
#: How long to wait before the next attempt to listen (s).
_LISTEN_AGAIN_S: Final = 5.0
#: How often hubs that do not come are looked for (s).
_GIVE_UP_EVERY_S: Final = 60.0
_JOBS: Final = 64
_FOREVER: Final = float("inf")


class PullOutput:
    """Runs until `stop`. `report` gets the state of an account by its name, `report_trouble` what is wrong here.

    `ask_troubles` is as for `Answers`.
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
        self.config = config
        self._report = report
        self._report_trouble = report_trouble
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
        self._answers = Answers(
            output,
            origin,
            self._places,
            self._access,
            interval_ms=lambda: min(self.config.groups),
            ask_troubles=ask_troubles,
            later=self._later,
        )
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
        return unavailable("the spool cannot be read or written now").answer

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
            why = why_not(error) if isinstance(error, OSError) else error
            self._set_trouble(f"cannot listen at {self._output.listen}: {why}")
            return
        self._server = Server(listening, self._answers.handle, self._access.admits, tls)
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
        self._answers.show(found, self.config.groups)
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

    def _later(self, connection: Connection, job: Job) -> None:
        """Have this output's thread answer. Called by that of the server."""
        with self._changed:
            if len(self._jobs) >= _JOBS:
                raise unavailable("too many requests wait for the spool")
            self._jobs.append((connection, job))
            self._changed.notify_all()


def listen(where: str) -> socket.socket:
    """Return a socket that listens at `host:port`. Raises `OSError`.

    As in a URL, the % before the zone of an IPv6 address is %25.
    """
    host, _, port = where.rpartition(":")
    family, _, _, _, address = socket.getaddrinfo(
        host.strip("[]").replace("%25", "%"),
        int(port),
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )[0]
    return socket.create_server(
        address, family=family, backlog=128, dualstack_ipv6=address[0] == "::"
    )


def why_not(error: OSError) -> str:
    """Return why `listen` failed, without the address, which `socket` adds and the line has already."""
    if error.errno and error.errno > 0:  # those of a resolver are negative
        return os.strerror(error.errno)
    return error.strerror or str(error)
