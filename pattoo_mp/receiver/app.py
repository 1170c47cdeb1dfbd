"""The receiver's HTTP API, compatible with that of the pattoo server.

    POST /pattoo/api/v1/agent/receive/<agent_id>    200 `OK`: stored
    GET  /pattoo/api/v1/agent/status                200 `The Pattoo Agent API is Operational.`

    404  wrong URL, wrong content type, a body that is not an object
    405  wrong method
    413  a body over the limit, or too many datapoints
    503  a large post while another one is being decoded; its sender tries again; a query while the store
         cannot be read
    500  a post that is refused, or could not be stored; the pattoo server does not say which

The body of any answer but a 200 is the reason, in one line of plain text.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Final

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from pattoo_mp.receiver.access import TOO_MANY, UNKNOWN, Access
from pattoo_mp.receiver.database import StoreError, is_damage
from pattoo_mp.receiver.decode import (
    MAX_BODY_BYTES,
    NOT_A_POST,
    PREFIX,
    UNUSABLE,
    Refused,
    decode_post,
    shown,
)
from pattoo_mp.receiver.page import add_page
from pattoo_mp.receiver.queries import Counts, Queries
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.receiver.posts import StoredPost
    from pattoo_mp.receiver.reading import Reader
    from pattoo_mp.receiver.store import Store

_log: Final = logging.getLogger(__name__)

#: Decoding takes up to 30 times as much memory as the body has. So of larger ones than this, which few
#: hosts post, only one is decoded at a time, and the other threads are left for the others.
LARGE_BYTES: Final = 2_500_000
BUSY: Final = 503


def now_ms() -> int:
    """Unix time in ms."""
    return time.time_ns() // 1_000_000


def create_app(
    store: Store,
    reader: Reader,
    *,
    access: Access | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    clock_ms: Callable[[], int] = now_ms,
) -> Flask:
    """Return the WSGI application that stores accepted posts in `store`, and answers queries by `reader`."""
    app = Flask("pattoo_mp.receiver", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    large = Lock()
    counts = Counts(clock_ms())

    @app.post(f"{PREFIX}/receive/<agent_id>")
    def receive(agent_id: str) -> Response:
        body = _body(request)
        with _one_at_a_time(large) if len(body) > LARGE_BYTES else nullcontext():
            post = decode_post(body, sent_to=agent_id)
            now_ms = clock_ms()
            stored_post = store.add(post, received_ms=now_ms, size_bytes=len(body))
        counts.stored(now_ms, stored_post.stored)
        _log_stored(stored_post)
        answer = _text("OK", 200)
        if stored_post.refused:
            # The agent logs it (RFC 7234, section 5.5).
            answer.headers["Warning"] = (
                f'299 pattoo_mp_receiver "series beyond the {store.limits.series} of an agent'
                ' (--max-series), or the room for names (--max-bytes), are not kept"'
            )
        return answer

    @app.get(f"{PREFIX}/status")
    def status() -> Response:
        return _text("The Pattoo Agent API is Operational.", 200)

    access = access or Access(None, "localhost")
    app.before_request(access.check)
    app.register_blueprint(access.blueprint())
    app.register_blueprint(Queries(reader, store, counts, clock_ms).blueprint())
    add_page(app)
    _register_errors(app, store, counts)
    return app


def _register_errors(app: Flask, store: Store, counts: Counts) -> None:
    """Answer each error in one line, and count it."""

    def refused(reason: Refused) -> Response:
        if request.method == "POST":
            counts.refused += 1
        return _refused(reason)

    def not_stored(error: sqlite3.Error) -> Response:
        if request.method != "POST":
            return not_answered(error)
        counts.trouble = f"not stored: {error}"
        return _not_stored(error)

    def not_answered(error: sqlite3.Error | StoreError) -> Response:
        _log.error("%s not answered: %s", _request_line(), error)
        if isinstance(error, sqlite3.Error) and is_damage(error):
            store.doubt(error)
        return _text(f"the store cannot be read: {error}", BUSY)

    app.register_error_handler(Refused, refused)
    app.register_error_handler(sqlite3.Error, not_stored)
    app.register_error_handler(StoreError, not_answered)
    app.register_error_handler(HTTPException, _http_error)


@contextmanager
def _one_at_a_time(lock: Lock) -> Iterator[None]:
    if not lock.acquire(blocking=False):
        raise Refused("another large post is being decoded", BUSY)
    try:
        yield
    finally:
        lock.release()


def _body(received: Request) -> bytes:
    if not received.is_json:
        raise Refused(
            f"content type {shown(received.content_type)}, expected application/json", NOT_A_POST
        )
    encoding = received.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise Refused(f"content encoding {shown(encoding)}, expected an uncompressed body")
    # Werkzeug before 2.3 compares only forms with it.
    if (received.content_length or 0) > (received.max_content_length or MAX_BODY_BYTES):
        raise RequestEntityTooLarge
    return received.get_data(cache=False)


def _refused(refused: Refused) -> Response:
    _log.warning("%s refused (%d): %s", _request_line(), refused.status, refused)
    answer = _text(str(refused), refused.status)
    if refused.status == BUSY:
        answer.headers["Retry-After"] = "1"
    elif refused.status == TOO_MANY:
        answer.headers["Retry-After"] = "60"
    elif refused.status == UNKNOWN:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _not_stored(error: sqlite3.Error) -> Response:
    _log.error("%s not stored: %s", _request_line(), error)
    return _text(f"not stored: {error}", UNUSABLE)


def _http_error(error: HTTPException) -> Response:
    code = error.code or UNUSABLE
    _log.warning("%s refused (%d): %s", _request_line(), code, error.description)
    answer = _text(error.description or error.name, code)
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer


def _log_stored(post: StoredPost) -> None:
    agent, polls = shown(post.agent_id), post.polls
    points = counted(post.datapoints, "datapoint")
    _log.debug("agent %s: stored %d of %s, %s", agent, post.stored, points, counted(polls, "poll"))
    if post.duplicates or post.late:
        _log.warning(
            "agent %s: %d duplicates, %d older than its newest", agent, post.duplicates, post.late
        )
    if post.new_refused:
        _log.warning(
            "agent %s: %s not taken: it is at its limit (--max-series), or names have no room (--max-bytes)",
            agent,
            f"{post.new_refused} new series",
        )
    if post.stale_envelope:
        _log.warning("agent %s: the envelope's timestamp is not newer than an earlier one", agent)


def _request_line() -> str:
    return f"{request.method} {shown(request.path)}"


def _text(text: str, status: int) -> Response:
    return Response(text, status, mimetype="text/plain")
