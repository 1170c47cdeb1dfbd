"""The page at `/`: serves its files, and forbids everything that it does not need.

The page is plain JavaScript modules that ask the queries of `openapi.json`; nothing is built, and no other
host is asked for anything. Text of a post reaches the page as JSON only, and is shown as text only. If markup got in
all the same, the content security policy would keep it from running.

    GET /               the page
    GET /page/<name>    its scripts, its style, and the names and units of figures
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from flask import Response, abort, request

if TYPE_CHECKING:
    from flask import Flask

_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
}
#: All that is served. A file that is not named here is not.
FILES: Final = (
    "index.html", "style.css", "icon.svg", "figures.json",
    "main.js", "address.js", "api.js", "axis.js", "chart.js", "columns.js", "dom.js", "feed.js",
    "host.js", "keys.js", "overview.js", "search.js", "time.js", "timebar.js", "units.js", "wall.js",
    "vendor/uPlot.js", "vendor/uPlot.css", "vendor/uPlot.LICENSE",
)  # fmt: skip

#: Scripts, styles and requests of this server only; no script or style within markup.
POLICY: Final = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
    "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A new release has new files; until then, the answer is 304.
    "Cache-Control": "no-cache",
}


def add_page(app: Flask) -> None:
    """Serve the page, and add its policy to every answer of `app`."""
    served = {name: _File(name) for name in FILES}

    @app.get("/")
    def page() -> Response:
        return served["index.html"].answer()

    @app.get("/page/<path:name>")
    def page_file(name: str) -> Response:
        if name not in served:
            abort(404, "the page has no such file")
        return served[name].answer()

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class _File:
    """A file of the page, in memory: all of them are 200 kB."""

    def __init__(self, name: str) -> None:
        self._body = files(__package__).joinpath(name).read_bytes()
        self._tag = hashlib.sha256(self._body).hexdigest()[:16]
        kind = _TYPES.get(name.rpartition(".")[2], "text/plain")
        self._type = kind if kind == "application/json" else f"{kind}; charset=utf-8"

    def answer(self) -> Response:
        """The file, or 304 if the browser has it already."""
        response = Response(self._body, content_type=self._type)
        response.set_etag(self._tag)
        response.make_conditional(request)
        return response
