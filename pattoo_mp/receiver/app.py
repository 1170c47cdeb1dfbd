"""The HTTP of the receiver, as the pattoo server speaks it.

    POST /pattoo/api/v1/agent/receive/<agent_id>    200 `OK`: stored
    GET  /pattoo/api/v1/agent/status                200 `The Pattoo Agent API is Operational.`

    404  wrong URL, wrong content type, a body that is not an object
    405  wrong method
    413  a body over the limit
    500  a post that is refused, or could not be stored; the pattoo server does not tell which

The body of every other answer than 200 is the reason in one line of plain text.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException

from pattoo_mp.receiver.decode import (
    MAX_BODY_BYTES,
    NOT_A_POST,
    PREFIX,
    UNUSABLE,
    Refused,
    decode_post,
    shown,
)
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.receiver.store import Store, StoredPost

_log: Final = logging.getLogger(__name__)


def now_ms() -> int:
    """Unix time in ms."""
    return time.time_ns() // 1_000_000


def create_app(
    store: Store,
    *,
    max_body_bytes: int = MAX_BODY_BYTES,
    clock_ms: Callable[[], int] = now_ms,
) -> Flask:
    """Return the WSGI application that stores accepted posts in `store`."""
    app = Flask("pattoo_mp.receiver", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes

    @app.post(f"{PREFIX}/receive/<agent_id>")
    def receive(agent_id: str) -> Response:
        body = _body(request)
        post = decode_post(body, sent_to=agent_id)
        kept = store.add(post, received_ms=clock_ms(), size_bytes=len(body))
        _log_kept(kept)
        return _text("OK", 200)

    @app.get(f"{PREFIX}/status")
    def status() -> Response:
        return _text("The Pattoo Agent API is Operational.", 200)

    app.register_error_handler(Refused, _refused)
    app.register_error_handler(sqlite3.Error, _not_stored)
    app.register_error_handler(HTTPException, _not_served)
    return app


def _body(sent: Request) -> bytes:
    if not sent.is_json:
        raise Refused(
            f"content type {shown(sent.content_type)}, expected application/json", NOT_A_POST
        )
    encoding = sent.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise Refused(f"content encoding {shown(encoding)}, expected a body that is not compressed")
    return sent.get_data(cache=False)


def _refused(refused: Refused) -> Response:
    _log.warning("%s refused (%d): %s", _asked(), refused.status, refused)
    return _text(str(refused), refused.status)


def _not_stored(error: sqlite3.Error) -> Response:
    _log.error("%s not stored: %s", _asked(), error)
    return _text(f"not stored: {error}", UNUSABLE)


def _not_served(error: HTTPException) -> Response:
    code = error.code or UNUSABLE
    _log.warning("%s refused (%d): %s", _asked(), code, error.description)
    answer = _text(error.description or error.name, code)
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer


def _log_kept(kept: StoredPost) -> None:
    agent, polls = shown(kept.agent_id), kept.polls
    points = counted(kept.datapoints, "datapoint")
    _log.info("agent %s: stored %d of %s, %s", agent, kept.stored, points, counted(polls, "poll"))
    if kept.duplicates or kept.late:
        _log.warning("agent %s: %d came before, %d too late", agent, kept.duplicates, kept.late)
    if kept.stale_envelope:
        _log.warning("agent %s: the envelope's timestamp did not grow", agent)


def _asked() -> str:
    return f"{request.method} {shown(request.path)}"


def _text(text: str, status: int) -> Response:
    return Response(text, status, mimetype="text/plain")
