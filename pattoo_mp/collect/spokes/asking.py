"""The requests of a hub to a spoke, and what their status says. What an answer holds is for others."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.spokes.exchange import Answer, AskError, Exchanger, request, shown
from pattoo_mp.collect.spokes.target import GAPLESS
from pattoo_mp.config import secrets
from pattoo_mp.errors import TrustError
from pattoo_mp.ipc.messages import SpokeState

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from pattoo_mp.collect.spokes.pulled import Known
    from pattoo_mp.collect.spokes.target import Spoke
    from pattoo_mp.config.values import Target, Trust

OK: Final = 200
NO_CONTENT: Final = 204
BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
NOT_FOUND: Final = 404
CONFLICT: Final = 409
PULL_PATH: Final = "/pattoo-mp/1/polls"
_MAX_BYTES: Final = 1_000_000
#: How often a file with a token is read again (s), and at the earliest after it was refused.
_TOKEN_S: Final = 3600.0
_REFUSED_S: Final = 60.0


class Asker:
    """Asks spokes, as the hub of a name."""

    def __init__(self, hub: str) -> None:
        self._hub = hub
        self._exchanger = Exchanger()
        self._contexts: dict[Trust, ssl.SSLContext] = {}

    def change(self, hub: str) -> None:
        """Use other settings: another name, and the TLS files as they are now."""
        self._hub = hub
        self._contexts.clear()

    async def page(self, spoke: Spoke) -> Answer:
        """Return the page of an original. Raises `AskError`."""
        lines = request("GET", page_path(spoke), spoke.host, token=self._token(spoke), close=True)
        answer = (await self._exchange(spoke, lines))[0]
        if answer.status != OK:
            raise refused(answer)
        return answer

    async def polls(self, spoke: Spoke) -> Answer | None:
        """Acknowledge what is to be, and fetch; None if the spoke is no agent of ours. Raises `AskError`."""
        requests = self._requests(spoke, spoke.known or {})
        answers = await self._exchange(spoke, *requests)
        if len(requests) > 1:
            if answers[0].status not in {NO_CONTENT, CONFLICT}:
                raise self._refused(spoke, answers[0])
            spoke.up_to = 0
        if len(answers) < len(requests):  # a proxy may close each connection after an answer
            answers += await self._exchange(spoke, requests[-1])
        answer = answers[-1]
        if answer.status == NOT_FOUND and spoke.kind != GAPLESS:
            return None
        if answer.status == NOT_FOUND:
            spoke.kind = ""  # an original may have taken its place
        if answer.status not in {OK, NO_CONTENT}:
            raise self._refused(spoke, answer)
        return answer

    def _refused(self, spoke: Spoke, answer: Answer) -> AskError:
        if answer.status == UNAUTHORIZED:
            spoke.token_due = min(spoke.token_due, time.monotonic() + _REFUSED_S)
        return refused(answer)

    def _requests(self, spoke: Spoke, known: Mapping[str, Known]) -> list[bytes]:
        """Return the requests: an acknowledgement if something is to be acknowledged, and the fetch."""
        hub, token = self._hub, self._token(spoke)
        requests = []
        if spoke.up_to:
            content = json.dumps({"hub": hub, "up_to": spoke.up_to}).encode()
            path = f"{PULL_PATH}/acknowledge"
            requests.append(request("POST", path, spoke.host, token=token, content=content))
        query = f"hub={hub}&max_bytes={_MAX_BYTES}"
        if known:
            query += f"&known={','.join(known)}"
        path = f"{PULL_PATH}?{query}"
        requests.append(request("GET", path, spoke.host, token=token, close=True))
        return requests

    async def _exchange(self, spoke: Spoke, *requests: bytes) -> list[Answer]:
        target = spoke.target
        context = self._context(target) if target.tls else None
        return await self._exchanger.exchange(
            target.ip_address, target.ip_bind_port, requests, context
        )

    def _context(self, target: Target) -> ssl.SSLContext:
        if target.trust not in self._contexts:
            try:
                self._contexts[target.trust] = secrets.tls_context(target.trust)
            except TrustError as error:
                raise AskError(SpokeState.REFUSING, f"this hub cannot ask it: {error}") from None
        return self._contexts[target.trust]

    def _token(self, spoke: Spoke) -> str:
        """Return the header with the token of a target, read again now and then."""
        path = spoke.target.trust.credentials_file
        if path is not None and time.monotonic() >= spoke.token_due:
            try:
                spoke.token = secrets.authorization(secrets.SERVER, path)
            except TrustError as error:
                raise AskError(SpokeState.REFUSING, f"this hub cannot ask it: {error}") from None
            spoke.token_due = time.monotonic() + _TOKEN_S
        return spoke.token if path is not None else ""


def page_path(spoke: Spoke) -> str:
    """Return the path of an original's page; its interval is in whole seconds."""
    return f"/pattoo-agent-os/{max(1, round(spoke.interval_s))}"


def refused(answer: Answer) -> AskError:
    """Return the error for an answer with another status than a good one."""
    words = {
        401: "it wants a token (token_file), or another one",
        403: "this hub's address is not in its allow",
        NOT_FOUND: "it has no such page: it is no spoke",
        429: "it is asked too often",
        503: "it cannot answer now",
    }
    why = words.get(answer.status, "")
    if 300 <= answer.status < 400:
        why = f"it redirects to {shown(answer.headers.get('location', 'nowhere'))}, which is not followed"
    text = f"status {answer.status}{f': {why}' if why else ''}"
    return AskError(SpokeState.REFUSING, text, answer.status)
